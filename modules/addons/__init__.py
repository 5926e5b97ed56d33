"""Extensions, the scripts that come with Easel, and A1111's names for extension code."""
