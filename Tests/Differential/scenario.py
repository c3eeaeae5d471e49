"""The whole language."""

from language import Language
from streams import Streams
from transports import Transports


class Scenario(Streams, Transports, Language):
    """A scenario. An operation is the method of the same name, `op_NAME` or, for a step of a task, `step_NAME`."""
