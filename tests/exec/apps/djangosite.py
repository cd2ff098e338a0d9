"""A Django site that names its settings as late as a `manage.py` does: settings, views and program in one."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line  # type: ignore[import-not-found]  # the environment of `auto` alone has it
from django.http import HttpRequest, HttpResponse  # type: ignore[import-not-found]  # same
from django.urls import path  # type: ignore[import-not-found]  # same

SECRET_KEY = "of a test"
DEBUG = True
ROOT_URLCONF = "tests.exec.apps.djangosite"


def give_out(_request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(str(number))


urlpatterns = [path("items/<int:number>", give_out)]

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = ROOT_URLCONF
    execute_from_command_line(sys.argv)
