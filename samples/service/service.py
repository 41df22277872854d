"""An application service for inreply, as small as one can be: it answers every mail
with what it has read. docs/webhook.md is the contract.

    python3 samples/service/service.py [--listen 127.0.0.1:8081] [--secret whsec_...]
"""
import argparse, base64, hashlib, hmac, json, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout, secret = 60, b""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/mails":
            return self.say(404, {"error": "there is nothing here"})
        if self.secret and not self.signed(body):
            return self.say(401, {"error": "not signed as it must be"})
        try:
            mail = json.loads(body)
            sender = (mail.get("from") or {}).get("name", "")
            words = len(mail.get("reply_text", "").split())
            text = f'Hello {sender},\n\nthank you for "{mail.get("subject", "")}". I have read {words} words.\n'
            text += "".join(f"You sent {a['filename']}.\n" for a in mail.get("attachments", []))
        except (ValueError, AttributeError, KeyError, TypeError):
            return self.say(400, {"error": "this is no mail"})
        self.say(200, {"action": "reply", "reply": {"text": text.replace("\0", "")}})

    def signed(self, body):
        """Checks a signature of Standard Webhooks, and that it is not an old one."""
        at, id = self.headers.get("webhook-timestamp", "0"), self.headers.get("webhook-id", "")
        mac = hmac.new(self.secret, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
        want = "v1," + base64.b64encode(mac).decode()
        given = self.headers.get("webhook-signature", "").split()
        fresh = at.isdigit() and abs(time.time() - int(at)) < 300
        return fresh and any(hmac.compare_digest(g.encode(), want.encode()) for g in given)

    def say(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


options = argparse.ArgumentParser()
options.add_argument("--listen", default="127.0.0.1:8081")
options.add_argument("--secret", default="")
options = options.parse_args()
Service.secret = base64.b64decode(options.secret.removeprefix("whsec_"))
host, port = options.listen.rsplit(":", 1)
server = ThreadingHTTPServer((host, int(port)), Service)
print("listening on %s:%d" % server.server_address, flush=True)
server.serve_forever()
