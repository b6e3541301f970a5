"""The providers that the installed dns-lexicon knows, and the options of each, read from its source and not imported.

Importing a provider imports an HTTP client, and a configuration is read in every run, also where nothing is due. What a provider takes is in
the method that declares the arguments of lexicon's own command line; a test compares what is read here with those
parsers, for every provider. Nothing is copied from lexicon: a newer one brings its own providers and options.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acmectl.errors import SolverError

_GUESSES = "auto"  # not a provider: tries to tell one by the zone's name servers
_LIKE_A_SECRET = re.compile(r"(^|_)(auth|key|secret|token|password|pass)(_|$)")
_PUBLIC = re.compile(
    r"auth_(account|client_id|client_ip|config_file|customer_id|entrypoint|fingerprint|id|key_file|key_id|key_is_global"
    r"|profile|region|sandbox|server|subid|subscription_id|subuser|tenancy|tenant_id|type|user|username)"
)


@dataclass(frozen=True, slots=True)
class ProviderOption:
    """An option of a provider, by the name that lexicon gives it; `meaning` is in lexicon's words.

    `is_secret` says that it may stand in a file of credentials only; `is_flag` that it is yes or no; `is_base64` that a file's content is handed
    over with the prefix that lexicon wants for it.
    """

    name: str
    meaning: str
    is_flag: bool
    is_secret: bool
    is_base64: bool
    choices: tuple[str, ...]
    default: str | None


def provider_names() -> tuple[str, ...]:
    """All providers, in alphabetical order. SolverError if dns-lexicon is not installed."""
    names = (path.stem for path in _directory().glob("*.py"))
    return tuple(sorted(name for name in names if not name.startswith("_") and name not in {_GUESSES, "base"}))


@cache
def provider_options(provider: str) -> tuple[ProviderOption, ...]:
    """What one of `provider_names` takes, in lexicon's order. SolverError if its source cannot be read."""
    return tuple(_option(call) for call in _declarations(provider))


def missing_packages(provider: str) -> tuple[str, ...]:
    """The packages of the provider's own that are not installed, such as boto3 for route53."""
    of_provider = re.compile(rf"extra\s*==\s*['\"]{re.escape(provider)}['\"]")
    required = [line for line in importlib.metadata.requires("dns-lexicon") or () if of_provider.search(line)]
    names = [found[0] for line in required if (found := re.match(r"[\w.-]+", line))]
    return tuple(name for name in names if not _is_installed(name))


def is_secret(option: str) -> bool:
    """Whether an option of any provider must not stand in the configuration: by its name, and in doubt it must not."""
    return bool(_LIKE_A_SECRET.search(option)) and not _PUBLIC.fullmatch(option)


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _directory() -> Path:
    spec = importlib.util.find_spec("lexicon")
    if spec is None or not spec.submodule_search_locations:
        raise SolverError("dns-lexicon is not installed", hint="`pip install 'acmectl[lexicon]'`")
    directory = Path(spec.submodule_search_locations[0], "_private", "providers")
    if not directory.is_dir():
        raise SolverError(
            f"the package `lexicon` in `{directory.parents[1]}` is no dns-lexicon that can be used",
            hint="`pip install 'acmectl[lexicon]'`",
        )
    return directory


def _declarations(provider: str) -> list[ast.Call]:
    """The calls of `add_argument`; a provider without any has those of the one that it is derived from."""
    path = _directory() / f"{provider}.py"
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as cause:
        raise SolverError(f"cannot read `{path}`: {cause}", hint="install dns-lexicon anew") from cause
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "configure_parser":
            return sorted(_arguments(node), key=lambda call: call.lineno)
    bases = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    own = [module.rpartition(".")[2] for module in bases if module.startswith("lexicon._private.providers.")]
    return _declarations(own[0]) if own else []


def _arguments(function: ast.FunctionDef) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            yield node


def _option(call: ast.Call) -> ProviderOption:
    name = str(_literal(call.args[0])).lstrip("-").replace("-", "_")
    said = {word.arg: _literal(word.value) for word in call.keywords}
    meaning = " ".join(str(said.get("help") or "").split())
    default = said.get("default")
    return ProviderOption(
        name,
        meaning,
        is_flag=said.get("action") == "store_true",
        is_secret=is_secret(name),
        is_base64="base64::" in meaning,
        choices=tuple(str(one) for one in said.get("choices") or ()),
        default=None if default is None else str(default),
    )


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.BinOp):  # a text in two parts
        return f"{_literal(node.left)}{_literal(node.right)}"
    try:
        return ast.literal_eval(node)
    except ValueError:  # a name, such as a type
        return None
