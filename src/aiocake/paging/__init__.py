"""Lists that come in pages, read as one: in order and complete, or an error is raised."""

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
