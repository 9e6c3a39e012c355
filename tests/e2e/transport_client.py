"""A client written without any of our code: pyzmq for ZeroMQ, stunnel for TLS, protoc's Python for the messages,
python3-cryptography for the signatures. It greets, pings and asks, in both dial directions."""
import hashlib
import importlib
import os
import secrets
import socket
import struct
import subprocess
import sys
import time
import unittest

from transport_node import Case, Certificates, crypto, need


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Client(Case):
    def setUp(self):
        super().setUp()
        crypto()
        self.stunnel = need("stunnel4")
        protoc = need("protoc")
        try:
            import google.protobuf  # noqa: F401
            import zmq
        except ImportError as error:
            raise unittest.SkipTest(f"{error.name} is not installed (python3-zmq, python3-protobuf)") from error
        self.zmq = zmq
        source = os.environ["DATASITE_SOURCE_DIR"]
        subprocess.run([protoc, f"--proto_path={source}/schemas", f"--python_out={self.folder}", "datasite.proto"],
                       check=True)
        sys.path.insert(0, self.folder)
        self.addCleanup(sys.path.remove, self.folder)
        sys.modules.pop("datasite_pb2", None)
        if "datasite_pb2" in Client.modules:
            self.pb = Client.modules["datasite_pb2"]
        else:
            self.pb = Client.modules["datasite_pb2"] = importlib.import_module("datasite_pb2")
        self.certificates = Certificates(os.path.join(self.folder, "own"))
        self.crt, self.key_file, _, self.key = self.certificates.leaf("independent", self_signed=True)
        self.fingerprint = self.certificates.fingerprint(self.key)
        self.session = secrets.token_bytes(16)
        self.number = 0
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    modules = {}

    def tunnel(self, text):
        """Starts stunnel in the foreground."""
        path = os.path.join(self.folder, "stunnel.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"foreground = yes\npid =\ndebug = 3\n{text}\ncert = {self.crt}\nkey = {self.key_file}\n"
                       "sslVersionMin = TLSv1.3\n")
        process = subprocess.Popen([self.stunnel, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def wait_for(self, port):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with open("/proc/net/tcp", encoding="ascii") as file:
                if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in file.readlines()[1:]):
                    return
            time.sleep(0.05)
        self.fail("stunnel does not listen")

    def signed_form(self, envelope):
        return (b"FDS-MSG1\0" + struct.pack("<II", 1, envelope.type) + envelope.sender + envelope.recipient +
                envelope.session + struct.pack("<QQq", envelope.number, envelope.answers, envelope.sent_at) +
                hashlib.sha256(envelope.body).digest())

    def send(self, dealer, peer, kind, body=b"", answers=0):
        from cryptography.hazmat.primitives import serialization
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.number += 1
        envelope = self.pb.Envelope(version=1, type=kind, sender=bytes.fromhex(self.fingerprint[7:]),
                                    recipient=bytes.fromhex(peer[7:]), session=self.session, number=self.number,
                                    answers=answers, sent_at=int(time.time() * 1000), public_key=raw, body=body)
        envelope.signature = self.key.sign(self.signed_form(envelope))
        dealer.send(envelope.SerializeToString())
        return self.number

    def receive(self, dealer, peer, kind):
        """The next message of a kind, its signature and names checked."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        while True:
            self.assertTrue(dealer.poll(20000), "no answer")
            envelope = self.pb.Envelope.FromString(dealer.recv())
            public = Ed25519PublicKey.from_public_bytes(envelope.public_key)
            public.verify(envelope.signature, self.signed_form(envelope))
            der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            self.assertEqual("sha256:" + hashlib.sha256(der).hexdigest(), peer)
            self.assertEqual(envelope.sender.hex(), peer[7:])
            self.assertEqual(envelope.recipient.hex(), self.fingerprint[7:])
            if envelope.type == kind:
                return envelope

    def converse(self, dealer, peer):
        ping = self.send(dealer, peer, self.pb.MESSAGE_PING)
        self.assertEqual(self.receive(dealer, peer, self.pb.MESSAGE_PONG).answers, ping)
        body = secrets.token_bytes(5000)
        asked = self.send(dealer, peer, self.pb.MESSAGE_SUBMIT, body)
        answer = self.receive(dealer, peer, self.pb.MESSAGE_SUBMIT)
        self.assertEqual(answer.answers, asked)
        self.assertEqual(answer.body, body)

    def greeting(self):
        return self.pb.Greeting(protocol=1, name="independent", software="none of ours").SerializeToString()

    def test_client_behind_stunnel_dials_and_asks(self):
        node = self.node("listener", "listen", "tcp://127.0.0.1:0", "trust", self.fingerprint)
        port = free_port()
        self.tunnel(f"[out]\nclient = yes\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{node.port}")
        self.wait_for(port)
        dealer = self.context.socket(self.zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{port}")
        hello = self.send(dealer, node.fingerprint, self.pb.MESSAGE_HELLO, self.greeting())
        welcome = self.receive(dealer, node.fingerprint, self.pb.MESSAGE_WELCOME)
        self.assertEqual(welcome.answers, hello)
        self.assertEqual(self.pb.Greeting.FromString(welcome.body).name, "listener")
        node.expect("up")
        self.converse(dealer, node.fingerprint)
        dealer.close()
        node.expect("down")
        node.close()

    def test_client_behind_stunnel_is_dialled_and_asks(self):
        node = self.node("dialler")
        port, inner = free_port(), free_port()
        dealer = self.context.socket(self.zmq.DEALER)
        dealer.linger = 0
        dealer.bind(f"tcp://127.0.0.1:{inner}")
        self.tunnel(f"requireCert = yes\nverify = 0\n[in]\nclient = no\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{inner}")
        self.wait_for(port)
        node.say(f"dial {self.fingerprint} tcp://127.0.0.1:{port}")
        hello = self.receive(dealer, node.fingerprint, self.pb.MESSAGE_HELLO)
        self.assertEqual(self.pb.Greeting.FromString(hello.body).name, "dialler")
        self.send(dealer, node.fingerprint, self.pb.MESSAGE_WELCOME, self.greeting(), hello.number)
        node.expect("up")
        self.converse(dealer, node.fingerprint)
        node.close()

    def test_client_that_sends_a_wrong_signature_is_refused_in_words(self):
        node = self.node("listener", "listen", "tcp://127.0.0.1:0", "trust", self.fingerprint)
        port = free_port()
        self.tunnel(f"[out]\nclient = yes\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{node.port}")
        self.wait_for(port)
        dealer = self.context.socket(self.zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{port}")
        form = self.signed_form
        self.signed_form = lambda envelope: form(envelope) + b"!"
        self.send(dealer, node.fingerprint, self.pb.MESSAGE_HELLO, self.greeting())
        self.signed_form = form
        goodbye = self.receive(dealer, node.fingerprint, self.pb.MESSAGE_GOODBYE)
        self.assertIn("signature", self.pb.Refusal.FromString(goodbye.body).sentence)
        node.expect("refused .*signature")
        dealer.close()
        node.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
