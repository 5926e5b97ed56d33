"""Pictures from the command line, through the same request, queue and engine as the page's."""
