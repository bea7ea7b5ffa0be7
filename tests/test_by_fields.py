"""Records and events compare, hash and print themselves as attrs would have them."""

import attrs
import pytest

from aiocake import events, models
from aiocake._by_fields import by_fields

CLASSES = [
    thing
    for module in (events, models)
    for thing in map(vars(module).get, module.__all__)
    if isinstance(thing, type) and attrs.has(thing)
]


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_it_is_as_attrs_would_have_it(model: type[attrs.AttrsInstance]) -> None:
    fields = {
        field.name: attrs.field(
            eq=field.eq, hash=field.hash, repr=field.repr, kw_only=field.kw_only
        )
        for field in attrs.fields(model)
    }
    twin = attrs.make_class(model.__name__, fields, frozen=True)
    values = {name: (number,) for number, name in enumerate(fields)}
    one, same, theirs = (kind.__new__(kind) for kind in (model, model, twin))
    for each in (one, same, theirs):
        fill(each, values)
    assert repr(one) == repr(theirs)
    assert one == same
    assert hash(one) == hash(same)
    assert one != theirs
    assert one.__eq__(theirs) is NotImplemented
    for name, field in zip(fields, attrs.fields(model), strict=True):
        fill(same, {name: None})
        assert (one == same) is not bool(field.eq)
        assert (hash(one) == hash(same)) is (field.hash is False or not field.eq)
        fill(same, values)


def fill(thing: object, values: dict[str, object]) -> None:
    for name, value in values.items():
        object.__setattr__(thing, name, value)


def test_a_class_within_another_is_shown_by_its_place() -> None:
    @by_fields
    @attrs.frozen(eq=False, repr=False)
    class Inner:
        value: int

    assert repr(Inner(1)) == "Inner(value=1)"
    assert {Inner(1), Inner(1), Inner(2)} == {Inner(2), Inner(1)}
