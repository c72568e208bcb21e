"""The server under load: an installation in a temporary folder, on ports that the kernel chose."""
import http.client
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

checkout = pathlib.Path(__file__).resolve().parents[2]
binary = os.environ.get("HEADWATER_BINARY", str(checkout / ".build/debug/headwater"))


class Server:
    """Starts on `with`, ends with it; `exit_code` tells how."""

    def __init__(self, server="", limits="", descriptors=None, cores=None, more="", address_space=None, site=""):
        self.folder = tempfile.TemporaryDirectory(prefix="headwater-torture-")
        self.root = pathlib.Path(self.folder.name)
        (self.root / "etc/sites").mkdir(parents=True)
        (self.root / "storage").mkdir()
        (self.root / "etc/headwater.toml").write_text(
            f'[server]\nlisten = ["127.0.0.1:0"]\nadmin = "127.0.0.1:0"\nstorage = "{self.root}/storage"\n'
            f'drain_grace = "0s"\n{server}\n[limits]\n{limits}\n[log]\naccess = "off"\n{more}\n')
        (self.root / "etc/sites/demo.toml").write_text('hosts = ["*"]\n' + site)
        self.descriptors, self.cores, self.address_space = descriptors, cores, address_space
        self.content = {}

    def run(self, *arguments, timeout=120):
        subprocess.run([binary, *arguments, "--config", self.root / "etc/headwater.toml"], check=True,
                       stdout=subprocess.DEVNULL, timeout=timeout)

    def put(self, name, size, seed):
        """Publishes a file of random bytes and remembers them."""
        content = random.Random(seed).randbytes(size)
        path = self.root / name
        path.write_bytes(content)
        self.run("put", "--site", "demo", name, str(path))
        path.unlink()
        self.content["/f/" + name] = content

    def put_many(self, count, size, seed):
        """Publishes files `0.bin` and so on, no two alike, whose contents share the memory of one block of random bytes."""
        block = memoryview(random.Random(seed).randbytes(2 * size))
        folder = self.root / "many"
        folder.mkdir()
        for number in range(count):
            content = block[number * (size // count):][:size]
            (folder / f"{number}.bin").write_bytes(content)
            self.content[f"/f/{number}.bin"] = content
        self.run("put", "--site", "demo", "--recursive", "", str(folder), timeout=900)
        shutil.rmtree(folder)

    def __enter__(self):
        def limit():
            if self.cores:
                os.sched_setaffinity(0, self.cores)
            if self.address_space:
                resource.setrlimit(resource.RLIMIT_AS, (self.address_space, self.address_space))
            if self.descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        self.process = subprocess.Popen(
            [binary, "serve", "--config", self.root / "etc/headwater.toml"], stdout=subprocess.PIPE,
            stderr=open(self.root / "log", "wb"), text=True, preexec_fn=limit)
        ports = {}
        while len(ports) < 2:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("the server did not start:\n" + (self.root / "log").read_text())
            if found := re.search(r"(listening|admin) http://127\.0\.0\.1:(\d+)", line):
                ports[found[1]] = int(found[2])
        self.port, self.admin = ports["listening"], ports["admin"]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit_code = self.process.wait()
        self.folder.cleanup()

    def _status(self, name):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", text)[1])

    def memory_kib(self):
        """Anonymous memory: what the program holds itself, without mapped files."""
        return self._status("RssAnon")

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        # The process's own clock, CPUCLOCK_SCHED of <linux/posix-timers.h>, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def idle_share(self, call):
        """How much of the time in which `call` runs the server's cores have nothing to do, and what it returns."""
        def idle():
            lines = pathlib.Path("/proc/stat").read_text().splitlines()
            return sum(int(line.split()[4]) for line in lines if line.split()[0] in {f"cpu{core}" for core in self.cores})
        before, start = idle(), time.monotonic()
        result = call()
        ticks = (time.monotonic() - start) * os.sysconf("SC_CLK_TCK") * len(self.cores)
        return (idle() - before) / ticks, result

    def health(self, timeout=5):
        """The status of /healthz on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=timeout)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status
        finally:
            connection.close()

    def _metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def metric(self, name):
        return float(re.search(rf"^headwater_{re.escape(name)} (\S+)$", self._metrics(), re.M)[1])

    def refusals(self):
        """How many each limit has turned away."""
        found = re.findall(r'^headwater_refused_total\{limit="(\w+)"\} (\d+)$', self._metrics(), re.M)
        return {limit: int(count) for limit, count in found}
