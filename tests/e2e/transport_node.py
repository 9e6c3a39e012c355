"""What the transport's end-to-end tests share: session_echo processes and certificates made without our own code."""
import datetime
import hashlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

ECHO = os.environ["SESSION_ECHO"]
WAIT = 30


class Node:
    """A session_echo process; its lines are looked for in order."""

    def __init__(self, folder, name, *options, wrap=()):
        os.makedirs(folder, exist_ok=True)
        self.name = name
        self.seen = []
        command = [*wrap, ECHO, os.path.join(folder, name + "-keys"), name, os.path.join(folder, name + "-s"), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, bufsize=1)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.fingerprint = self.expect(r"fingerprint (sha256:\w+)").group(1)
        self.port = int(self.expect(r"port (\d+)").group(1))
        self.endpoint = f"tcp://127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def expect(self, pattern, wait=WAIT):
        """The next line that matches; lines before it are kept in `seen`."""
        while True:
            try:
                line = self.lines.get(timeout=wait)
            except queue.Empty:
                line = None
            if line is None:
                tail = "\n".join(self.seen[-40:])
                raise AssertionError(f"{self.name} did not say '{pattern}'; it said:\n{tail}")
            self.seen.append(line)
            found = re.match(pattern, line)
            if found:
                return found

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close(self):
        """Asks it to end; fails if it crashed or a sanitizer complained."""
        if self.process.poll() is None:
            try:
                self.say("quit")
            except OSError:
                pass
        status = self.process.wait(timeout=WAIT)
        self.reader.join(timeout=WAIT)
        self.process.stdout.close()
        self.process.stdin.close()
        if status != 0:
            rest = []
            while not self.lines.empty():
                rest.append(self.lines.get())
            tail = "\n".join(self.seen[-20:] + [line for line in rest if line])
            raise AssertionError(f"{self.name} ended with status {status}:\n{tail}")

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=WAIT)
        self.reader.join(timeout=WAIT)
        self.process.stdout.close()
        self.process.stdin.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="transport-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def node(self, name, *options, wrap=()):
        node = Node(self.folder, name, *options, wrap=wrap)
        self.addCleanup(self.discard, node)
        return node

    @staticmethod
    def discard(node):
        if node.process.poll() is None:
            node.kill()

    def make_keys(self, name):
        """The fingerprint of a node that will be started later under this name."""
        node = Node(self.folder, name)
        node.close()
        return node.fingerprint

    def exchange(self, node, peer, size=1000):
        node.say(f"ask {peer.fingerprint} {size}")
        node.expect(rf"answer {size} same")


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise unittest.SkipTest(f"{program} is not installed")
    return path


# ---- certificates, by python3-cryptography ----

def crypto():
    try:
        import cryptography.x509  # noqa: F401
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: F401
    except ImportError as error:
        raise unittest.SkipTest("python3-cryptography is not installed") from error


class Certificates:
    """A CA, its revocation list, and leaves of every kind, as PEM files in a folder."""

    def __init__(self, folder, ca_curve=False):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        self.x509, self.ser, self.ed25519 = x509, serialization, ed25519
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.now = datetime.datetime.utcnow()
        self.ca_key = ec.generate_private_key(ec.SECP256R1()) if ca_curve else ed25519.Ed25519PrivateKey.generate()
        self.ca_hash = hashes.SHA256() if ca_curve else None
        self.ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Consortium")])
        builder = self._builder(self.ca_name, self.ca_name, self.ca_key.public_key(), -1, 3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                                        critical=True)
        self.ca = builder.sign(self.ca_key, self.ca_hash)
        self.ca_file = self._write("ca.crt", self.ca.public_bytes(serialization.Encoding.PEM))

    def _write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _builder(self, subject, issuer, key, first_day, last_day):
        day = datetime.timedelta(days=1)
        return (self.x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
                .serial_number(self.x509.random_serial_number())
                .not_valid_before(self.now + first_day * day).not_valid_after(self.now + last_day * day))

    def leaf(self, name, first_day=-1, last_day=30, self_signed=False):
        """(certificate file, key file, certificate, key)"""
        key = self.ed25519.Ed25519PrivateKey.generate()
        subject = self.x509.Name([self.x509.NameAttribute(self.x509.NameOID.COMMON_NAME, name)])
        issuer, signer = (subject, key) if self_signed else (self.ca_name, self.ca_key)
        builder = self._builder(subject, issuer, key.public_key(), first_day, last_day)
        builder = builder.add_extension(self.x509.BasicConstraints(ca=False, path_length=None), critical=True)
        certificate = builder.sign(signer, None if self_signed else self.ca_hash)
        pem = certificate.public_bytes(self.ser.Encoding.PEM)
        key_pem = key.private_bytes(self.ser.Encoding.PEM, self.ser.PrivateFormat.PKCS8, self.ser.NoEncryption())
        return (self._write(name + ".crt", pem), self._write(name + ".key", key_pem), certificate, key)

    def revocation_list(self, *certificates):
        builder = (self.x509.CertificateRevocationListBuilder().issuer_name(self.ca_name)
                   .last_update(self.now - datetime.timedelta(hours=1))
                   .next_update(self.now + datetime.timedelta(days=30)))
        for certificate in certificates:
            builder = builder.add_revoked_certificate(
                self.x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
                .revocation_date(self.now - datetime.timedelta(minutes=5)).build())
        crl = builder.sign(self.ca_key, self.ca_hash)
        return self._write("ca.crl", crl.public_bytes(self.ser.Encoding.PEM))

    def fingerprint(self, key):
        der = key.public_key().public_bytes(self.ser.Encoding.DER, self.ser.PublicFormat.SubjectPublicKeyInfo)
        return "sha256:" + hashlib.sha256(der).hexdigest()
