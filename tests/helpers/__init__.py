"""What the tests share; none of these modules is a test."""
