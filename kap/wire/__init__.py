"""Bytes and JSON to core values and back. Pure: no sockets, no files."""
