"""The hosts of a job: who they are, and whether they can be reached.

SageMaker names all hosts in SM_HOSTS and this one in SM_CURRENT_HOST:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
Without these variables there is one host. TensorFlow waits without end for a host that never starts, and early versions
also for one that is lost. So the functions of this file look whether each host accepts a connection, and end the script
with the names of those that do not.
"""

import contextlib
import json
import os
import socket
import threading
import time

import tensorflow as tf

from errors import fail

HOSTS = json.loads(os.environ.get("SM_HOSTS", '["localhost"]'))
HOST_NUMBER = HOSTS.index(os.environ.get("SM_CURRENT_HOST", HOSTS[0]))  # from 0
PORT = int(os.environ.get("CLUSTER_PORT", 12222))  # TensorFlow's, on the first host; each other host has the next port
LISTENER_PORT = PORT - 100  # the listener's, on the first host; each other host has the next port
STARTUP_SECONDS = 600  # how long a host waits for the others
LISTENER = socket.socket()  # accepts connections as soon as this host has started, and until the script ends


def is_first_host():
    """Whether this is the host that prints the metrics and saves everything."""
    return HOST_NUMBER == 0


def wait_for_hosts():
    """Wait until every host has started. If one has not after STARTUP_SECONDS, the script ends."""
    deadline = time.time() + STARTUP_SECONDS
    open_listener()
    missing = HOSTS
    while missing:
        is_last_try = time.time() > deadline  # A try takes up to five seconds a host, so the time is noted before it.
        missing = unreachable_hosts(missing, LISTENER_PORT)
        if missing and is_last_try:
            fail_without(missing)
        if missing:
            time.sleep(0.5)


def open_listener():
    """Let the other hosts connect to this one."""
    port = LISTENER_PORT + HOST_NUMBER
    LISTENER.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # also if a script that just ended used the port
    try:
        LISTENER.bind(("", port))
    except OSError as error:
        fail(f"port {port} is not free; CLUSTER_PORT can name another than {PORT}: {error}")
    LISTENER.listen()


def unreachable_hosts(candidates, first_port):
    """Those of the candidates that accept no connection within five seconds.

    `first_port` is the port on the first host of the job. Each other host has the next one.
    """
    unreachable = []
    for host in candidates:
        number = HOSTS.index(host)
        if number == HOST_NUMBER:
            continue  # A host need not ask whether it can reach itself.
        try:
            connection = socket.create_connection((host, first_port + number), timeout=5)
            connection.close()
        except OSError:
            unreachable.append(host)
    return unreachable


def fail_without(unreachable):
    """End the script with the names of the hosts that cannot be reached."""
    fail(f"host {', '.join(unreachable)} does not answer, and the others cannot go on without it")


def fail_if_a_host_is_lost():
    """End the script if TensorFlow on one of the hosts cannot be reached."""
    unreachable = unreachable_hosts(HOSTS, PORT)
    if unreachable:
        fail_without(unreachable)


def watch_hosts(training_has_ended):
    """Look every ten seconds whether a host is lost, and end the script if so.

    TensorFlow does this by itself from version 2.4; before, it waits for the lost host without end.
    """
    while not training_has_ended.wait(timeout=10):
        try:
            fail_if_a_host_is_lost()
        except SystemExit:
            os._exit(1)  # ends the whole script, while the SystemExit would end this thread only


@contextlib.contextmanager
def naming_lost_hosts():
    """While this context is open, a host that is lost ends the script with the name of that host."""
    training_has_ended = threading.Event()
    watcher = threading.Thread(target=watch_hosts, args=[training_has_ended], daemon=True)
    watcher.start()
    try:
        yield
    except tf.errors.OpError:
        fail_if_a_host_is_lost()  # If none is lost, the error has another cause and is raised as it is.
        raise
    finally:
        training_has_ended.set()
