"""A worker of the older API, without the transcoding: it says what a real one was seen to say, in the same order.

usage: worker.py URL NAME [--num N] [--save PATH] [--fail] [--beat SECONDS] [--reports N]
"""

import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request


class Master:
    """The server. Every call has a connection of its own."""

    def __init__(self, url):
        self.base = f"{url}/api/v1"

    def call(self, method, path, body):
        """Returns the HTTP status and the answer, which has to be JSON."""
        request = urllib.request.Request(
            self.base + path,
            data=json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", "User-Agent": "python-requests/2.32.3", "Accept": "*/*"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


class Worker:
    def __init__(self, args):
        self.args = args
        self.master = Master(args.url)
        self.kind = {"worker_type": 0, "support_vr": 0}

    def register(self):
        body = {"worker_name": self.args.name, **self.kind}
        status, answer = self.master.call("POST", "/workers", body)
        if not 200 <= status < 300 or answer["code"] not in (200, 201):
            say("refused", status, answer["message"])
            sys.exit(0)  # as the real one does
        self.id = answer["data"]["worker_id"]
        say("registered", self.id)

    def beat(self):
        while True:
            self.master.call("POST", "/workers/heartbeat", {"worker_name": self.args.name, "worker_id": self.id})
            time.sleep(self.args.beat)

    def claim(self):
        """The next task, or None when there is none for now."""
        body = {"worker_id": self.id, **self.kind, "dest_path": self.args.save}
        status, answer = self.master.call("POST", "/tasks", body)
        if answer["code"] == 205:
            assert status == 200, status
            say(answer["data"]["action"])
            sys.exit(0)
        if status == 404:
            return None
        assert status in (200, 201) and answer["code"] in (200, 201), (status, answer)
        return answer["data"]

    def patch(self, task, **fields):
        body = {"worker_id": self.id, **fields}
        status, answer = self.master.call("PATCH", f"/tasks/{task}", body)
        # A last report that is refused would stop a real worker for ever.
        assert status == 200 and answer["code"] == 200, (status, answer)

    def work(self, task, path):
        assert not path.startswith("/"), path
        if self.args.fail:
            error = f"处理任务失败: 视频文件不存在: /mnt/{path}"
            for _ in range(2):  # the real one says it twice at times
                self.patch(task, progress=0.0, status=3, error_message=error)
            say("failed")
            return
        self.patch(task, progress=0.0, status=1, elapsed_time=0, remaining_time=0)
        log = {"task_id": task, "log_level": 1, "log_message": f"FFmpeg command: ffmpeg -i {path} -c:v libx265"}
        status, answer = self.master.call("POST", "/logs", log)
        assert status == 201 and answer["code"] == 201, (status, answer)
        reports = self.args.reports
        for number in range(1, reports + 1):
            progress = 100 if number == reports else 100 * number / (reports + 0.5)
            remaining = 0.0 if number == reports else 1.1851338549072776
            self.patch(task, progress=progress, status=1, elapsed_time=number // 2, remaining_time=remaining)
            time.sleep(self.args.pause)
        self.patch(task, progress=100.0, status=2)
        say("completed")

    def run(self):
        self.register()
        threading.Thread(target=self.beat, daemon=True).start()
        done = 0
        while self.args.num < 0 or done < self.args.num:
            task = self.claim()
            if task is None:
                time.sleep(self.args.pause)
                continue
            say("claimed", task["video_path"])
            self.work(task["task_id"], task["video_path"])
            done += 1


def say(*words):
    print(*words, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("name")
    parser.add_argument("--num", type=int, default=-1)
    parser.add_argument("--save")
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--beat", type=float, default=5.0)
    parser.add_argument("--reports", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.05)
    Worker(parser.parse_args()).run()


if __name__ == "__main__":
    main()
