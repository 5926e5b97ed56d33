"""The selectable scripts that come with Easel: X/Y/Z plot and its companions."""
