"""The flags of `driftline serve` against those of the installed `mlflow models serve`."""

import click
import pytest

from driftline.cli.serve import serve

_OUR_DEFAULTS = {"env_manager": "local", "workers": 1, "model_uri": ""}


def _mlflows() -> dict[str, click.Option]:
    from mlflow.models.cli import serve as theirs

    return {parameter.name: parameter for parameter in theirs.params if isinstance(parameter, click.Option)}


def test_every_flag_of_mlflow_is_taken_with_its_variable_and_default() -> None:
    ours = {parameter.name: parameter for parameter in serve.params if isinstance(parameter, click.Option)}
    for name, option in _mlflows().items():
        assert name in ours, f"`mlflow models serve` has gained {option.opts}: take it"
        assert set(option.opts) <= set(ours[name].opts)
        assert (ours[name].envvar, ours[name].is_flag) == (option.envvar, option.is_flag)
        assert not ours[name].required  # the containers of two clouds say where the model lies
        if name not in _OUR_DEFAULTS and not option.is_flag:
            assert ours[name].default == option.default


def test_the_intended_differences_are_these() -> None:
    ours = {parameter.name: parameter.default for parameter in serve.params}
    assert {name: ours[name] for name in _OUR_DEFAULTS} == _OUR_DEFAULTS
    assert _mlflows()["env_manager"].default == "virtualenv"


def test_h_is_the_host_as_in_mlflow() -> None:
    (host,) = [parameter for parameter in serve.params if parameter.name == "host"]
    assert "-h" in host.opts


@pytest.mark.parametrize("flag", ["--install-mlflow", "--no-conda"])
def test_flags_of_the_environment_are_taken(flag: str) -> None:
    context = serve.make_context("serve", ["-m", "models:/x/1", flag])
    assert context.params[flag.strip("-").replace("-", "_")] is True
