"""Photographs in an HTML page, looked at through one viewer: the report's and the review's."""
