"""Whole processes that are stopped, killed, short of descriptors, or cut off from the network in mid-message."""
import os
import signal
import subprocess
import time
import unittest

from transport_node import Case, need

LARGE = 50_000_000
QUICK = ("ping", "1000", "dead", "6000")  # instead of 15 s and 45 s


class Faults(Case):
    def pair(self):
        """A listener and a dialler that is up."""
        dialler_id = self.make_keys("dialler")
        listener = self.node("listener", "listen", "tcp://127.0.0.1:0", "trust", dialler_id, *QUICK)
        return listener, self.dialler(listener)

    def dialler(self, listener):
        dialler = self.node("dialler", *QUICK)
        dialler.say(f"dial {listener.fingerprint} {listener.endpoint}")
        dialler.expect("up")
        listener.expect("up")
        return dialler

    def end(self, *nodes):
        for node in nodes:
            node.close()

    def test_killed_in_mid_message_sender_comes_back(self):
        listener, dialler = self.pair()
        dialler.say(f"ask {listener.fingerprint} {LARGE}")
        time.sleep(0.05)
        dialler.kill()
        listener.expect("down")
        dialler = self.dialler(listener)
        self.exchange(dialler, listener)
        self.end(dialler, listener)

    def test_killed_in_mid_message_receiver_comes_back(self):
        listener, dialler = self.pair()
        dialler.say(f"ask {listener.fingerprint} {LARGE}")
        time.sleep(0.05)
        listener.kill()
        dialler.expect("down")
        again = self.node("listener", "listen", listener.endpoint, "trust", dialler.fingerprint, *QUICK)
        dialler.expect("up")
        dialler.expect(f"answer {LARGE} same")
        self.end(dialler, again)

    def stop_and_go(self, victim, dialler, listener):
        dialler.say(f"ask {listener.fingerprint} {LARGE}")
        time.sleep(0.05)
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        victim.process.send_signal(signal.SIGCONT)
        dialler.expect(f"answer {LARGE} same")
        self.end(dialler, listener)

    def test_stopped_in_mid_message_sender_goes_on(self):
        listener, dialler = self.pair()
        self.stop_and_go(dialler, dialler, listener)

    def test_stopped_in_mid_message_receiver_goes_on(self):
        listener, dialler = self.pair()
        self.stop_and_go(listener, dialler, listener)

    def test_stopped_for_good_is_given_up(self):
        """The kernel still acknowledges for a stopped process; only the missing PINGs show it."""
        listener, dialler = self.pair()
        dialler.process.send_signal(signal.SIGSTOP)
        listener.expect("down .*Nothing was heard from .* for 6 s")
        dialler.process.send_signal(signal.SIGCONT)
        dialler.expect("down")
        dialler.expect("up")
        self.exchange(dialler, listener)
        self.end(dialler, listener)

    def test_few_descriptors_serve_a_good_peer_beside_a_crowd(self):
        good = self.make_keys("good")
        listener = self.node("listener", "listen", "tcp://127.0.0.1:0", "trust", good,
                             wrap=("/bin/bash", "-c", 'ulimit -n 64; exec "$@"', "-"))
        crowd = [subprocess.Popen(["/bin/bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{listener.port}; sleep 12"])
                 for _ in range(80)]
        for process in crowd:
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        node = self.node("good")
        node.say(f"dial {listener.fingerprint} {listener.endpoint}")
        node.expect("up", wait=90)
        self.exchange(node, listener)
        self.assertLess(self.seconds_used(listener), 30)
        self.end(node, listener)

    @staticmethod
    def seconds_used(node):
        """Processor time of a process: a loop that spins on accept() would have used all there is."""
        with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_link_taken_down_and_up_again_loses_nothing(self):
        ip = need("ip")
        name = f"ds{os.getpid() % 100000}"
        try:
            subprocess.run([ip, "netns", "add", name], check=True, capture_output=True)
        except (subprocess.CalledProcessError, OSError) as error:
            raise unittest.SkipTest("network namespaces are not permitted here") from error
        self.addCleanup(subprocess.run, [ip, "netns", "del", name], check=False)
        try:
            for command in (f"link add {name}a type veth peer name {name}b", f"link set {name}b netns {name}",
                            f"addr add 10.199.77.1/30 dev {name}a", f"link set {name}a up"):
                subprocess.run([ip, *command.split()], check=True, capture_output=True)
            for command in (f"addr add 10.199.77.2/30 dev {name}b", f"link set {name}b up"):
                subprocess.run([ip, "-n", name, *command.split()], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise unittest.SkipTest("virtual links are not permitted here") from error
        dialler_id = self.make_keys("dialler")
        listener = self.node("listener", "listen", "tcp://10.199.77.1:0", "trust", dialler_id, *QUICK)
        dialler = self.node("dialler", *QUICK, wrap=(ip, "netns", "exec", name))
        dialler.say(f"dial {listener.fingerprint} tcp://10.199.77.1:{listener.port}")
        dialler.expect("up")
        dialler.say(f"ask {listener.fingerprint} {LARGE}")
        subprocess.run([ip, "link", "set", f"{name}a", "down"], check=True)
        dialler.expect("down", wait=90)
        subprocess.run([ip, "link", "set", f"{name}a", "up"], check=True)
        dialler.expect("up", wait=60)
        dialler.expect(f"answer {LARGE} same", wait=60)
        self.end(dialler, listener)


if __name__ == "__main__":
    unittest.main(verbosity=2)
