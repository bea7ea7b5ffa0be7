"""Long lists and long runs: what takes many calls, and has to come out right all the same."""

from aiocake.bulk.paging import FreshPage, PageLike, Pager, Pages, Rows

__all__ = ["FreshPage", "PageLike", "Pager", "Pages", "Rows"]
