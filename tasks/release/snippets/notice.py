# What users are told, on every page of the hub: read when a page is made, and no longer than it says.
import html
import os
from datetime import datetime, timezone

notice_file = "/usr/local/etc/hubwright/notice/notice"


class Notice:
    """Text for a template, true while there is something to tell. (JupyterHub's page.html: announcement)"""

    def __bool__(self):
        return bool(str(self))

    def __str__(self):
        if not os.path.exists(notice_file):
            return ""
        with open(notice_file, encoding="utf-8") as file:
            end, _, words = file.read().partition("\n")
        try:
            over = datetime.now(timezone.utc) > datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return ""  # somebody wrote something else there: no reason for a page to fail
        return "" if over else html.escape(words.strip())

    def __html__(self):
        return str(self)


c.JupyterHub.template_vars = {"announcement": Notice()}
