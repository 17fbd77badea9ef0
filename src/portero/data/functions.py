"""Functions of the developer that callers may call at `/rpc/<name>`: what `rpc` marks, and what is known of each.

`rpc` marks a Python function and holds no application state; an application names the functions it serves. Signatures
are read once at freeze. Nothing here calls a function or asks a database. Obeys contract data.md §4.9.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final, TypeVar, overload

from sqlalchemy.orm import Session

from portero.data.arguments import ArgumentType, wanted_type
from portero.data.policy import refused
from portero.data.request import SCHEMA
from portero.data.similar_names import nearest
from portero.errors import ConfigurationError, DataError
from portero.principal import AUTHENTICATED, SERVICE_ROLE, Principal
from portero.records import dataclass

Marked = TypeVar("Marked", bound=Callable[..., Any])

PREFIX: Final = "/rpc/"
_MARK: Final = "__portero_function__"
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class _Mark:
    """What `rpc` says about one function."""

    name: str | None
    is_read_only: bool
    allow: tuple[str, ...]


@overload
def rpc(function: Marked) -> Marked: ...


@overload
def rpc(
    *, read_only: bool = False, allow: Iterable[str] = ..., name: str | None = None
) -> Callable[[Marked], Marked]: ...


def rpc(
    function: Any = None,
    *,
    read_only: bool = False,
    allow: Iterable[str] = (AUTHENTICATED,),
    name: str | None = None,
) -> Any:
    """Mark a typed function as callable at `/rpc/<name>`; `jwt.functions(…)` serves it.

    Arguments are read by the annotations of its parameters. A parameter annotated `sqlalchemy.orm.Session` is given
    the request's session, one annotated `portero.Principal` the caller; both are no arguments of the call. What the
    function does with the session is not subject to policies; a `select` over an exposed model that it returns is.

    Args:
        read_only: it writes nothing; it may be called with GET and HEAD too, and runs in a read-only transaction.
        allow: the roles that may call it; `service_role` always may. `("anon", "authenticated")` allows everybody.
        name: its name on the wire; default: the function's.

    Raises:
        ConfigurationError: `allow` is one text.
    """
    if isinstance(allow, str):
        raise ConfigurationError("rpc(allow=…) is a list of roles.")
    mark = _Mark(name, read_only, tuple(allow))

    def marked(function: Marked) -> Marked:
        setattr(function, _MARK, mark)
        return function

    return marked if function is None else marked(function)


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One argument; `default` is not looked at where it is required."""

    name: str
    type: ArgumentType
    is_required: bool
    default: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One callable function.

    Attributes:
        call: the developer's function.
        parameters: its arguments by name.
        given: the parameters that are not arguments: `session` or `principal` by name.
        roles: who may call it.
        returns: the annotation of its result; None where nothing is given back.
        summary: the first line of its docstring.
    """

    name: str
    call: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    given: Mapping[str, str]
    is_read_only: bool
    roles: frozenset[str]
    returns: Any
    summary: str

    @property
    def methods(self) -> list[str]:
        """Give the HTTP methods that are served, as `Allow` lists them."""
        return ["OPTIONS", "GET", "HEAD", "POST"] if self.is_read_only else ["OPTIONS", "POST"]

    @property
    def signature(self) -> str:
        """Write the name and the arguments, as messages show them."""
        return f"{SCHEMA}.{self.name}({', '.join(self.parameters)})"

    def check_caller(self, role: str) -> None:
        """Refuse a caller whose role may not call it.

        Raises:
            DataError: 42501 (403; 401 for `anon`).
        """
        if role not in self.roles:
            raise refused(f"permission denied for function {self.name}", role)

    def bind(self, given: Mapping[str, Any], *, is_text: bool) -> dict[str, Any]:
        """Type the arguments of a call.

        Args:
            given: values by name, of JSON or as text.
            is_text: they are text (of a query or a form).

        Raises:
            DataError: PGRST202 (404) a missing or unknown argument; 22P02, 22003, 22004 … (400) a value of another
                type.
        """
        required = {name for name, each in self.parameters.items() if each.is_required}
        if not required <= given.keys() <= self.parameters.keys():
            meant = f"{SCHEMA}.{self.name}({', '.join(sorted(self.parameters))})"
            raise not_found(self.name, given, f"Perhaps you meant to call the function {meant}")
        bound = {name: each.default for name, each in self.parameters.items() if not each.is_required}
        for name, value in given.items():
            bound[name] = self._value(self.parameters[name], value, is_text=is_text)
        return bound

    def _value(self, parameter: Parameter, value: Any, *, is_text: bool) -> Any:
        if value is None:
            if parameter.type.allows_null or parameter.type.schema == {}:
                return None
            raise DataError(400, "22004", f"null value not allowed for argument {parameter.name} of {self.signature}")
        try:
            return parameter.type.parse(value) if is_text else parameter.type.parse_json(value)
        except DataError as fault:
            hint = f"The argument {parameter.name} of {self.signature} is of type {parameter.type.name}"
            raise DataError(fault.status, fault.code, fault.message, details=fault.details, hint=hint) from None
        except RecursionError:
            raise DataError(400, "PGRST102", "Empty or invalid json") from None


class Functions:
    """The functions that one application serves, by name."""

    def __init__(self, functions: Iterable[Any] = ()) -> None:
        self.by_name: dict[str, Function] = {}
        for each in functions:
            function = _function(each)
            if self.by_name.setdefault(function.name, function).call is not function.call:
                raise ConfigurationError(f"Two functions are called {function.name!r}: give one another name (name=…).")

    def find(self, path: str, given: Iterable[str] = ()) -> Function:
        """Find the function at `/rpc/<name>`.

        Raises:
            DataError: PGRST202 (404) with the nearest name as hint; PGRST125 (404) a deeper path.
        """
        name = path.removeprefix(PREFIX).removesuffix("/")
        if "/" in name:
            raise DataError(404, "PGRST125", "Invalid path specified in request URL")
        found = self.by_name.get(name)
        if found is None:
            near = nearest(name, self.by_name)
            hint = f"Perhaps you meant to call the function {SCHEMA}.{near}" if near else None
            raise not_found(name, given, hint)
        return found


def not_found(name: str, given: Iterable[str], hint: str | None) -> DataError:
    """Make the PGRST202 refusal, which names the arguments that came."""
    name = name[:_LONGEST_NAME]
    arguments = sorted(str(each)[:_LONGEST_NAME] for each in given)[:20]
    names = ", ".join(arguments)
    call = f"{SCHEMA}.{name}({names})" if names else f"{SCHEMA}.{name} without parameters"
    message = f"Could not find the function {call} in the schema cache"
    word = "parameters" if len(arguments) > 1 else "parameter"
    what = f"with {word} {names}" if names else "without parameters"
    details = f"Searched for the function {SCHEMA}.{name} {what}, but no matches were found in the schema cache."
    return DataError(404, "PGRST202", message, details=details, hint=hint)


def marked_in(what: Any) -> list[Any]:
    """Give the marked functions that `jwt.functions` was given: functions, modules, or lists of these.

    Raises:
        ConfigurationError: something else, or a module without one.
    """
    if isinstance(what, list | tuple):
        return [each for entry in what for each in marked_in(entry)]
    if isinstance(what, ModuleType):
        found = [each for each in vars(what).values() if inspect.isfunction(each) and _MARK in vars(each)]
        if not found:
            raise ConfigurationError(f"The module {what.__name__} has no function marked with @rpc.")
        return found
    if _MARK not in getattr(what, "__dict__", {}):
        raise ConfigurationError(f"{what!r} is no function marked with @rpc, and no module of such functions.")
    return [what]


def _function(call: Any) -> Function:
    mark: _Mark = vars(call)[_MARK]
    name = mark.name or call.__name__
    if inspect.iscoroutinefunction(call) or inspect.isgeneratorfunction(call):
        raise ConfigurationError(f"rpc {name!r} must be an ordinary function.")
    if not name or "/" in name:
        raise ConfigurationError(f"rpc {name!r} has no name that can stand in a path.")
    try:
        hints = typing.get_type_hints(call)
    except NameError as error:
        raise ConfigurationError(f"rpc {name!r}: an annotation cannot be read: {error}.") from None
    parameters: dict[str, Parameter] = {}
    given: dict[str, str] = {}
    for each in inspect.signature(call).parameters.values():
        _add(each, hints, f"rpc {name!r}: the argument {each.name!r}", parameters, given)
    return Function(
        name=name,
        call=call,
        parameters=parameters,
        given=given,
        is_read_only=mark.is_read_only,
        roles=frozenset({*mark.allow, SERVICE_ROLE}),
        returns=hints.get("return"),
        summary=(inspect.getdoc(call) or "").partition("\n")[0],
    )


def _add(
    each: inspect.Parameter,
    hints: Mapping[str, Any],
    where: str,
    parameters: dict[str, Parameter],
    given: dict[str, str],
) -> None:
    if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
        raise ConfigurationError(f"{where} has no name of its own on the wire.")
    annotation = hints.get(each.name)
    if annotation is Session or annotation is Principal:
        given[each.name] = "session" if annotation is Session else "principal"
        return
    if each.name not in hints:
        raise ConfigurationError(f"{where} has no annotation.")
    is_required = each.default is each.empty
    default = None if is_required else each.default
    parameters[each.name] = Parameter(each.name, wanted_type(annotation, where), is_required, default)
