"""Everything that is not a good peer, against a listening node: each is refused with a sentence on both sides, and a
good peer gets through straight afterwards. The strangers are openssl s_client and plain sockets."""
import os
import socket
import struct
import subprocess
import time
import unittest

from transport_node import Case, Certificates, crypto, need


class Matrix(Case):
    def setUp(self):
        super().setUp()
        crypto()
        self.openssl = need("openssl")
        self.certificates = Certificates(os.path.join(self.folder, "ca"))
        self.revoked = self.certificates.leaf("revoked")
        self.crl = self.certificates.revocation_list(self.revoked[2])
        good = self.make_keys("good")
        self.listener = self.node("listener", "listen", "tcp://127.0.0.1:0", "trust", good, "ca",
                                  self.certificates.ca_file, "crl", self.crl, "handshake", "2000")

    def tearDown(self):
        """A good client works after whatever came before, and the listener ends in order."""
        good = self.node("good")
        good.say(f"dial {self.listener.fingerprint} {self.listener.endpoint}")
        good.expect("up")
        self.exchange(good, self.listener)
        good.close()
        self.listener.close()

    def s_client(self, *options):
        """openssl s_client stays connected until it is refused, at most 10 s."""
        process = subprocess.Popen([self.openssl, "s_client", "-connect", f"127.0.0.1:{self.listener.port}",
                                    *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        output = process.stdout.read()
        process.stdout.close()
        process.stdin.close()
        return output

    def certificate_of(self, files):
        return ("-cert", files[0], "-key", files[1])

    def test_no_certificate(self):
        self.assertIn("certificate required", self.s_client())
        self.listener.expect("refused sha256:0{64} .*showed no certificate")

    def test_foreign_ca(self):
        foreign = Certificates(os.path.join(self.folder, "foreign"))
        self.assertIn("unknown ca", self.s_client(*self.certificate_of(foreign.leaf("foreign"))))
        self.listener.expect("refused sha256:.*'foreign'.*neither in the trust list")

    def test_self_signed_stranger(self):
        files = self.certificates.leaf("stranger", self_signed=True)
        self.assertIn("unknown ca", self.s_client(*self.certificate_of(files)))
        self.listener.expect("refused .*'stranger'.*neither in the trust list")

    def test_expired(self):
        files = self.certificates.leaf("old", -60, -30)
        self.assertIn("certificate expired", self.s_client(*self.certificate_of(files)))
        self.listener.expect("refused .*'old'.*expired on 2")

    def test_revoked(self):
        self.assertIn("certificate revoked", self.s_client(*self.certificate_of(self.revoked)))
        self.listener.expect("refused .*'revoked'.*was revoked by its CA")

    def test_not_yet_valid(self):
        files = self.certificates.leaf("early", 10, 30)
        self.s_client(*self.certificate_of(files))
        self.listener.expect("refused .*'early'.*valid only from")

    def test_good_certificate_but_no_zmtp(self):
        output = self.s_client(*self.certificate_of(self.certificates.leaf("mute")))
        self.assertIn("TLSv1.3", output)
        self.listener.expect("refused .*no whole message in the 2 s")

    def test_tls_1_2(self):
        output = self.s_client("-tls1_2", *self.certificate_of(self.certificates.leaf("modern")))
        self.assertIn("protocol version", output)
        self.listener.expect("refused .*offers no TLS 1.3")

    def test_no_session_ticket_is_issued(self):
        output = self.s_client("-ign_eof", *self.certificate_of(self.certificates.leaf("mute")))
        self.assertNotIn("New Session Ticket", output)
        self.listener.expect("refused")

    def plain(self, *pieces, pause=0.0):
        """Sends pieces, then waits to be closed; returns the seconds that it took."""
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.listener.port), timeout=25) as net:
            try:
                for piece in pieces:
                    net.sendall(piece)
                    time.sleep(pause)
                while net.recv(4096):
                    pass
            except OSError as error:
                self.assertNotIsInstance(error, TimeoutError)
        return time.monotonic() - start

    def test_plain_http(self):
        self.plain(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.listener.expect("refused .*plain HTTP request")

    def test_random_bytes(self):
        for seed in range(8):
            self.plain(bytes((seed * 37 + i * i * 11 + 5) % 256 for i in range(2000)))
            self.listener.expect("refused")

    def client_hello(self):
        """What openssl s_client sends first."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            process = subprocess.Popen([self.openssl, "s_client", "-connect", f"127.0.0.1:{server.getsockname()[1]}"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            net, _ = server.accept()
            hello = net.recv(65536)
            net.close()
            process.wait(timeout=10)
        self.assertEqual(hello[0], 22)
        return hello

    def test_half_a_client_hello(self):
        hello = self.client_hello()
        self.plain(hello[:len(hello) // 2])
        self.listener.expect("refused .*did not finish the TLS handshake in 2 s")

    def test_slow_drip(self):
        hello = self.client_hello()
        self.plain(*[hello[i:i + 1] for i in range(40)], pause=0.1)
        self.listener.expect("refused .*did not finish the TLS handshake in 2 s")

    def test_a_record_of_every_kind(self):
        for kind in (0, 20, 21, 22, 23, 24, 255):
            self.plain(struct.pack(">BHH", kind, 0x0303, 16) + bytes(16))
        self.listener.expect("refused")

    def test_p256_authority_is_accepted(self):
        """Not a stranger: a CA made elsewhere with a P-256 key."""
        certificates = Certificates(os.path.join(self.folder, "p256"), ca_curve=True)
        crl = certificates.revocation_list()
        files = certificates.leaf("guest")
        listener = self.node("second", "listen", "tcp://127.0.0.1:0", "ca", certificates.ca_file, "crl", crl, "handshake", "2000")
        first, self.listener = self.listener, listener
        output = self.s_client(*self.certificate_of(files))
        self.listener = first
        self.assertIn("Verification", output)
        self.assertNotIn("alert", output)
        listener.expect("refused .*no whole message")
        listener.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
