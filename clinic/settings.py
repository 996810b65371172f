"""Django's settings, read from the environment by three helpers that fail loudly."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import fontpkg_atkinson_hyperlegible
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from clinic import database, zones

zones.pin()  # before anything meets a zone: the pinned data, never the system's copy

HERE = Path(__file__).parent


def text(name: str, default: str) -> str:
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    value = os.environ.get(name, str(default)).lower()
    if value not in {"true", "false"}:
        raise ValueError(f"{name}={value!r}: say true or false")
    return value == "true"


def choice(name: str, default: str, allowed: set[str]) -> str:
    value = os.environ.get(name, default)
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: say one of {', '.join(sorted(allowed))}")
    return value


def _secret() -> str:
    """Return SECRET_KEY, or the key kept beside the data, made at the first start.

    Two processes may start first at once: the one whose link is made last reads the other's key.
    """
    if given := os.environ.get("SECRET_KEY"):
        return given
    kept = database.data_folder() / "secret_key"
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=kept.parent) as file:  # NamedTemporaryFile is 0600
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, kept)
    return kept.read_text()


MODE = choice("CLINIC_MODE", "clinical", {"demo", "clinical"})
DEBUG = flag("DEBUG", False)
SECRET_KEY = _secret()
PORT = int(text("PORT", "8000"))
PUBLIC_ADDRESS = text("PUBLIC_ADDRESS", f"http://127.0.0.1:{PORT}")
QUESTIONNAIRE_LINK_LIFE = timedelta(days=int(text("QUESTIONNAIRE_LINK_DAYS", "7")))
ALLOWED_HOSTS = text("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
CSRF_TRUSTED_ORIGINS = [f"http://{host}:{PORT}" for host in ALLOWED_HOSTS]
SECURE_COOKIES = flag("SECURE_COOKIES", MODE == "clinical")

INSTALLED_APPS = [
    "clinic.ui",
    "clinic.audit",
    "clinic.people",
    "clinic.course",
    "clinic.intake",
    "clinic.dosing",
    "clinic.outcomes",
    "clinic.protocols",
    "clinic.therapy",
    "clinic.interop",
    "clinic.portal",
    "clinic.today",
    "clinic.demo",
    "whitenoise.runserver_nostatic",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "clinic.ui.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
    # Last: it runs the view itself, so that every other middleware has spoken before.
    "clinic.people.access.AccessMiddleware",
]

# What a layer above `people` writes once the schema stands.
AFTER_MIGRATE = ["clinic.course.actions.register_protocols"]

ROOT_URLCONF = "clinic.urls"
ASGI_APPLICATION = "clinic.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = database.databases()
SILENCED_SYSTEM_CHECKS = [
    "account.W001",  # nobody signs up: an administrator adds staff
    "axes.W003",  # allauth's own login form calls authenticate() with the request
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "clinic.people.views.page",
            ]
        },
    }
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3 * 24 * 60 * 60  # seconds: how long a new colleague's link lives
LOGIN_URL = "/account/login/"
LOGIN_REDIRECT_URL = "/today/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "clinic.people.sign_in.Adapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_ALLOW_UNVERIFIED_EMAIL = True
# The relying party is `localhost`, which a browser trusts without TLS; a clinic sets its own.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE_COOKIES
MFA_TOTP_ISSUER = "Afterglow"
# axes alone counts failed sign-ins: in the database, for every process. allauth's own count is in
# the memory of one process, and locks in other words.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "account/locked.html"
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_HTTPONLY = False  # the outbox fetches a fresh token
CSRF_FAILURE_VIEW = "clinic.ui.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
        "img-src": [SELF, "data:"],
    }
}

EMAIL_BACKEND = text(
    "EMAIL_BACKEND",
    "django.core.mail.backends.filebased.EmailBackend"
    if MODE == "demo"
    else "django.core.mail.backends.smtp.EmailBackend",
)
EMAIL_TIMEOUT = 10  # seconds: a mail server that is away holds up nobody's page
EMAIL_FILE_PATH = database.data_folder() / "mail"  # a demonstration's mail is never sent
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "clinic@localhost")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French (Canada)"))]
LOCALE_PATHS = [HERE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = database.data_folder() / "static"
STATICFILES_DIRS = [("fonts", Path(fontpkg_atkinson_hyperlegible.__file__).parent / "files")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if flag("HASHED_STATIC", True)
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = not flag("HASHED_STATIC", True)

DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
