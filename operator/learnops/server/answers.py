"""What is answered about one bundle."""

from learnops.server.models import RunAnswer
from learnops.server.problems import Problem

BundleAnswer = RunAnswer | Problem
