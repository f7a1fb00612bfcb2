"""The certificates with which the account answers for AWS's hosts. moto signs them."""

import shutil
import socket
import ssl
from pathlib import Path

from moto.moto_proxy.certificate_creator import CertificateCreator

TEMPLATE = Path(CertificateCreator.certdir, "req.conf.tmpl")


def create_certificates(folder: Path) -> str:
    """Have moto sign certificates in a folder, not beside its own code, where two sandboxes would meet -> CA's file"""
    folder.mkdir()
    shutil.copy(TEMPLATE, folder)
    CertificateCreator.certdir = f"{folder}/"
    CertificateCreator().validate()
    return CertificateCreator.cacert


def encrypted(connection: socket.socket, host: str) -> ssl.SSLSocket:
    """The server's end of a TLS connection, with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CertificateCreator().create(host), CertificateCreator.certkey)
    return context.wrap_socket(connection, server_side=True)
