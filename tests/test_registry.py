"""Registry: lazy names, contracts, plugins that are whole and plugins that are broken."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Gt
from fake_plugins import install  # noqa: F401 (a fixture)
from torch import nn

from sslkit import plugins, signatures
from sslkit.errors import ContractError, PluginError, UnknownName
from sslkit.registry import KINDS, Registry, register, registry_of

GOOD = """
class Mine:
    def __init__(self, *, margin: float = 0.5): self.margin = margin
    def __call__(self, z1, z2): return 0
"""


@pytest.fixture
def losses():
    return Registry(
        kind="losses",
        one="loss",
        builtins={},
        offered=("device",),
        calls={"__call__": ("z1", "z2", "labels")},
        options={"weight": (float, 1.0)},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_keeps_its_contract(kind):
    registry = registry_of(kind)
    assert registry.builtins
    for name in registry.builtins:
        registry.load(name)
        registry.model(name)


def test_unknown_name_suggests_and_lists():
    with pytest.raises(UnknownName, match=r"no optimizer is called 'lasr'\. Did you mean 'lars'\? Known: adamw, lars, sgd\."):
        registry_of("optimizers").load("lasr")
    with pytest.raises(UnknownName, match="Did you mean 'losses'"):
        registry_of("loses")


@pytest.mark.fault(
    "side effects of plugins when components are listed",
    injected="a plugin whose import would show",
    expected="listing imports nothing",
    theme="plugins",
)
def test_a_plugin_is_a_component_like_any_other(install):  # noqa: F811
    install("fake-margin", "[sslkit.losses]\nmine = fake_margin:Mine\n", fake_margin=GOOD)
    registry = registry_of("losses")
    assert "mine" in registry.names()
    assert "fake_margin" not in sys.modules  # listing imports nothing
    assert registry.component("mine").distribution == "fake-margin 1.0"
    assert registry.build("mine", {"margin": 0.7}).margin == 0.7


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
        ("", "AttributeError"),
        ("Mine = 3", "is not a class"),
    ],
)
@pytest.mark.fault(
    "a plugin that raises, exits, is no Python, or lacks its class",
    injected="five broken modules",
    expected="only its own name fails, with the reason",
    theme="plugins",
)
def test_a_broken_plugin_breaks_its_own_name_only(install, module, says):  # noqa: F811
    install("fake-broken", "[sslkit.losses]\nmine = fake_broken:Mine\n", fake_broken=module)
    registry = registry_of("losses")
    with pytest.raises((PluginError, ContractError), match=says) as error:
        registry.load("mine")
    assert "fake-broken 1.0" in str(error.value)
    assert registry.load("nt_xent")


def test_what_a_plugin_prints_goes_to_stderr(install, capsys):  # noqa: F811
    install("fake-loud", "[sslkit.losses]\nmine = fake_loud:Mine\n", fake_loud="print('hello')\n" + GOOD)
    registry_of("losses").load("mine")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")


@pytest.mark.fault(
    "two packages with one name, or one that takes a name of sslkit",
    injected="two fake packages",
    expected="refused, with both packages named; other names work",
    theme="plugins",
)
def test_a_clash_breaks_the_name_that_clashes_and_no_other(install):  # noqa: F811
    install("fake-one", "[sslkit.losses]\nmine = fake_one:Mine\n", fake_one=GOOD)
    install("fake-two", "[sslkit.losses]\nmine = fake_two:Mine\nnt_xent = fake_two:Mine\n", fake_two=GOOD)
    registry = registry_of("losses")
    with pytest.raises(PluginError, match="'mine' is claimed by fake-one 1.0 and fake-two 1.0; uninstall"):
        registry.load("mine")
    with pytest.raises(PluginError, match="'nt_xent' is claimed by sslkit and fake-two 1.0"):
        registry.load("nt_xent")
    assert registry_of("heads").load("mlp")


@pytest.mark.parametrize(
    "metadata",
    ["mine = fake:Mine\n[sslkit.losses]\n", "[sslkit.losses]\na = x:y\na = x:z\n", "[sslkit.losses]\nmine = not a target\n"],
)
@pytest.mark.fault(
    "malformed metadata of a package",
    injected="three wrong `entry_points.txt`",
    expected="the package is named; others still work",
    theme="plugins",
)
def test_malformed_metadata_is_reported_and_hides_nothing(install, metadata):  # noqa: F811
    install("fake-malformed", metadata)
    install("fake-whole", "[sslkit.losses]\nmine2 = fake_whole:Mine\n", fake_whole=GOOD)
    assert [broken.distribution for broken in plugins.scan().broken] == ["fake-malformed 1.0"]
    assert "mine2" in registry_of("losses").names()


def test_a_percent_sign_in_metadata_is_just_a_character(install):  # noqa: F811
    install("fake-percent", "[console_scripts]\nx = %d:main\n[sslkit.losses]\nmine = fake_percent:Mine\n", fake_percent=GOOD)
    assert "mine" in registry_of("losses").names()


class Whole:
    def __init__(self, device, *, margin: Annotated[float, Gt(0)], mode: Literal["a", "b"] = "a") -> None: ...
    def __call__(self, z1, z2): ...


def test_the_model_is_read_off_the_signature(losses):
    losses.register("whole")(Whole)
    assert losses.filled("whole", {"margin": 1}) == ({"margin": 1.0, "mode": "a"}, {"weight": 1.0})
    schema = losses.model("whole").model_json_schema()
    assert schema["required"] == ["margin"]
    assert schema["properties"]["margin"]["exclusiveMinimum"] == 0
    assert schema["properties"]["mode"]["enum"] == ["a", "b"]


class Placed:
    def __init__(self, *, root: Path = Path("data")) -> None: ...
    def __call__(self, z1, z2): ...


def test_a_recipe_may_leave_a_path_to_its_default(losses):
    losses.register("placed")(Placed)
    assert losses.filled("placed", {})[0] == {"root": Path("data")}
    assert losses.model("placed").model_json_schema()["properties"]["root"]["default"] == "data"


class MoreThanOffered:
    def __init__(self, rank) -> None: ...
    def __call__(self, z1, z2): ...


class ForeignArgument:
    def __call__(self, z1, z2, epoch): ...


class NoCall: ...


class CalledName:
    def __init__(self, *, name: str = "x") -> None: ...
    def __call__(self, z1, z2): ...


class ShadowsPydantic:
    def __init__(self, *, model_config: str = "x") -> None: ...
    def __call__(self, z1, z2): ...


class Underscore:
    def __init__(self, *, _x: int = 0) -> None: ...
    def __call__(self, z1, z2): ...


class Untyped:
    def __init__(self, *, margin=0.5) -> None: ...
    def __call__(self, z1, z2): ...


class Swallows:
    def __init__(self, **rest) -> None: ...
    def __call__(self, z1, z2): ...


class Star:
    def __init__(self, *rest) -> None: ...
    def __call__(self, z1, z2): ...


class TakesOption:
    def __init__(self, *, weight: float = 0) -> None: ...
    def __call__(self, z1, z2): ...


class Opaque:
    def __init__(self, *, net: Whole) -> None: ...
    def __call__(self, z1, z2): ...


class TakesFunction:
    def __init__(self, *, law: Callable[[int], int] = abs) -> None: ...
    def __call__(self, z1, z2): ...


class BadDefault:
    def __init__(self, *, margin: float = "x") -> None: ...
    def __call__(self, z1, z2): ...


class Unresolvable:
    def __init__(self, *, x: "Nowhere" = 0) -> None: ...
    def __call__(self, z1, z2): ...


@pytest.mark.parametrize(
    ("component", "says"),
    [
        (MoreThanOffered, r"asks for 'rank'.*It offers __init__\(self, device\)"),
        (ForeignArgument, r"__call__\(self, z1, z2, epoch\) asks for 'epoch'.*\(self, z1, z2, labels\)"),
        (NoCall, "which it does not define"),
        (CalledName, "may not be called 'name'"),
        (ShadowsPydantic, "may not be called 'model_config'"),
        (Underscore, "may not be called '_x'"),
        (Untyped, "needs a type"),
        (Swallows, "asks for 'rest'"),
        (Star, "asks for 'rest'"),
        (TakesOption, "'weight' belongs to the framework"),
        (Unresolvable, "can't be resolved"),
        (Opaque, "the type of 'net' is none that a recipe can hold"),
        (TakesFunction, "the type of 'law' is none that a recipe can hold"),
        (BadDefault, "the default of 'margin', 'x', does not fit its type"),
    ],
)
@pytest.mark.fault(
    "a component with the wrong signature",
    injected="classes that break the contract",
    expected="one sentence when it is loaded",
    theme="plugins",
)
def test_a_broken_contract_is_one_sentence(losses, component, says):
    with pytest.raises(ContractError, match=says):
        losses.check(component)


def test_a_method_that_takes_too_few_arguments_is_refused():
    class Deaf:
        def __call__(self, images): ...

    with pytest.raises(ContractError, match=r"can't be called as __call__\(self, \.\.\., \.\.\.\)"):
        registry_of("augmentations").check(Deaf)


def test_self_may_have_another_name():
    class Mine:
        def __init__(s, *, margin: float = 0.5): ...  # noqa: N805
        def __call__(s, z1, z2): ...  # noqa: N805

    registry_of("losses").check(Mine)
    assert [parameter.name for parameter in signatures.parameters_of(Mine.__call__)] == ["z1", "z2"]
    assert list(signatures.keyword_only(Mine)) == ["margin"]


def test_a_loss_takes_all_views():
    class OneView:
        def __call__(self, z1): ...

    class Both:
        def __call__(self, z1, z2, zs): ...

    for wrong in (OneView, Both):
        with pytest.raises(ContractError, match="declares z1 and z2, or zs alone"):
            registry_of("losses").check(wrong)


def test_an_objective_gets_no_keyword_that_nobody_gives():
    class Asks:
        def project(self, views): ...
        def objective(self, z1, z2, *, epoch): ...

    class Plain:
        def project(self, views): ...
        def objective(self, z1, z2): ...

    with pytest.raises(ContractError, match="asks for 'epoch'"):
        registry_of("methods").check(Asks)
    registry_of("methods").check(Plain)


def test_a_crop_is_asked_for_its_boxes_with_sizes_and_a_draw():
    class Crop:
        def boxes(self): ...
        def __call__(self, images, boxes): ...

    with pytest.raises(ContractError, match=r"boxes\(self, sizes, draw\)"):
        registry_of("augmentations").check(Crop)


def test_what_inherits_its_forward_from_torch_is_a_component():
    class Head(nn.Sequential):
        def __init__(self, in_dim, *, out_dim: int = 8):
            super().__init__(nn.Linear(in_dim, out_dim))

    registry_of("heads").check(Head)
    assert signatures.written(Head, "__call__") is nn.Sequential.forward


def test_only_classes_are_registered():
    with pytest.raises(ContractError, match="must be a class"):
        register("losses", "function")(lambda z1, z2: 0)


def test_a_class_that_is_decorated_and_installed_is_no_clash(install):  # noqa: F811
    text = "from sslkit import register\n@register('losses', 'mine')\n" + GOOD.lstrip()
    install("fake-both", "[sslkit.losses]\nmine = fake_both:Mine\n", fake_both=text)
    registry = registry_of("losses")
    try:
        assert registry.load("mine") is registry.load("mine")
    finally:
        registry._registered.clear()


def test_a_class_inside_a_class_can_be_a_target(install):  # noqa: F811
    install(
        "fake-inner", "[sslkit.losses]\nmine = fake_inner:Outer.Mine\n", fake_inner="class Outer:" + GOOD.replace("\n", "\n  ")
    )
    assert registry_of("losses").load("mine").__name__ == "Mine"


def test_a_name_may_be_missing_because_metadata_can_t_be_read(install):  # noqa: F811
    install("fake-malformed", "[sslkit.losses]\na = x:y\na = x:z\n")
    with pytest.raises(UnknownName, match="fake-malformed 1.0 can't be read"):
        registry_of("losses").load("a")


def test_register_in_a_notebook():
    def cell():
        @register("losses", "cell_loss")
        class CellLoss:
            def __call__(self, z1, z2):
                return (z1 - z2).square().mean()

        return CellLoss

    registry = registry_of("losses")
    try:
        cell()
        again = cell()  # running a cell again replaces what it registered
        assert registry.load("cell_loss") is again
        assert registry.component("cell_loss").distribution == "this session"
        with pytest.raises(ContractError, match="'nt_xent' exists already, from sslkit"):
            register("losses", "nt_xent")(again)
    finally:
        registry._registered.clear()
