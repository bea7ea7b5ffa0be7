"""Read a list in pages as one: in order and complete, or raise an error."""

from aiocake.paging.pager import PagedRows, Pager
from aiocake.paging.pages import NewRows, PageLike, Pages
from aiocake.paging.prefetcher import PageRequest

__all__ = [
    "NewRows",
    "PageLike",
    "PageRequest",
    "PagedRows",
    "Pager",
    "Pages",
]
