"""Comparison with numbers that the public reference code computed."""

from .check import check_folder

__all__ = ['check_folder']
