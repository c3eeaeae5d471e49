"""The whole language."""

from coordination import Coordination
from datagrams import Datagrams
from language import Language
from pipes import Pipes
from streams import Streams
from transports import Transports


class Scenario(Coordination, Datagrams, Pipes, Streams, Transports, Language):
    """A scenario. An operation is the method of the same name, `op_NAME` or, for a step of a task, `step_NAME`."""
