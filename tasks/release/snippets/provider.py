# Sign-in at an identity provider: which roles somebody arrives with and keeps, and signing out there too.
from urllib.parse import urlencode

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError

sign_in = get_config("custom.hubwright.signIn")
roles = get_config("custom.hubwright.roles")


def roles_of(auth_state):
    """The roles of the profile that userinfo names; who has none has no such claim at all."""
    claim = auth_state["oauth_user"].get(sign_in["rolesClaim"]) or []
    return [role for role in ([claim] if isinstance(claim, str) else claim) if role in roles]


class ProviderLogoutHandler(GenericOAuthenticator.logout_handler):
    """Ends the provider's session as well (OpenID Connect RP-Initiated Logout 1.0)."""

    id_token = None

    async def handle_logout(self):
        await super().handle_logout()
        state = await self.current_user.get_auth_state() if self.current_user else None
        self.id_token = ((state or {}).get("token_response") or {}).get("id_token")

    async def render_logout_page(self):
        if not sign_in["endSession"]:
            await super().render_logout_page()
            return
        back = {"client_id": sign_in["clientId"], "post_logout_redirect_uri": sign_in["signedOut"]}
        # Without this the provider asks whether somebody really wants to sign out.
        hint = {"id_token_hint": self.id_token} if self.id_token else {}
        self.redirect(sign_in["endSession"] + "?" + urlencode({**back, **hint}))


class RoleAuthenticator(GenericOAuthenticator):
    """Lets in who has a role, and keeps in only who still has one."""

    logout_handler = ProviderLogoutHandler

    def get_handlers(self, app):
        return [*start_handlers, *super().get_handlers(app)]  # those of spawner.py

    async def update_auth_model(self, auth_model):
        """Nobody is an admin but by a role: else who once was one would stay one when no role has admin any more."""
        return {**auth_model, "admin": False}

    async def refresh_user(self, user, handler=None, **kwargs):
        """What the provider says now; False for somebody who has to sign in again, because every role is gone too.

        While the provider cannot be asked, what it said last holds. Otherwise its outage would shut people out of
        servers that run.
        """
        try:
            found = await super().refresh_user(user, handler, **kwargs)
        except (HTTPClientError, OSError) as error:
            self.log.warning("%s keeps the last known roles: the provider does not answer: %s", user.name, error)
            return True
        if isinstance(found, dict) and not await self.check_allowed(user.name, found):
            await handler.auth_to_user({**found, "name": user.name}, user)
            user._auth_refreshed = None  # or the hub would go by an earlier answer until that is five minutes old
            return False
        return found


c.JupyterHub.authenticator_class = RoleAuthenticator
c.GenericOAuthenticator.auth_state_groups_key = roles_of
