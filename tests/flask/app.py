"""The quickstart of Flask-SSE, and a route by which a test publishes what it likes."""

import os

from flask import Flask, render_template, request
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ["REDIS_URL"]
app.register_blueprint(sse, url_prefix="/stream")


@app.route("/")
def index():
    return render_template("index.html")


@app.route("/hello")
def publish_hello():
    sse.publish({"message": "Hello!"}, type="greeting")
    return "Message sent!"


@app.route("/send", methods=["POST"])
def send():
    return str(sse.publish(**request.get_json()))
