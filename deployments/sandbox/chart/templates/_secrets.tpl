{{/* Secrets that outlive an upgrade: from the values, else from the Secret in the cluster, else made now. */}}

{{/* What the Secret hub holds under a key, from (list $ KEY); nothing when it is not there, or not readable. */}}
{{- define "jupyterhub.kept" -}}
{{- $root := first . -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace "hub" | default dict -}}
{{- dig "data" (last .) "" $secret | b64dec -}}
{{- end }}

{{/* 256 random bits in hexadecimal digits, as JupyterHub reads cookie secret and crypt keys. */}}
{{- define "jupyterhub.random" -}}
{{- randAlphaNum 64 | sha256sum -}}
{{- end }}

{{- define "jupyterhub.proxyToken" -}}
{{- $given := dig "ConfigurableHTTPProxy" "auth_token" "" .Values.hub.config | default .Values.proxy.secretToken -}}
{{- $kept := include "jupyterhub.kept" (list . "hub.config.ConfigurableHTTPProxy.auth_token") -}}
{{- $given | default $kept | default (randAlphaNum 64) -}}
{{- end }}

{{- define "jupyterhub.cookieSecret" -}}
{{- $given := dig "JupyterHub" "cookie_secret" "" .Values.hub.config | default .Values.hub.cookieSecret -}}
{{- $kept := include "jupyterhub.kept" (list . "hub.config.JupyterHub.cookie_secret") -}}
{{- $given | default $kept | default (include "jupyterhub.random" .) -}}
{{- end }}

{{- define "jupyterhub.cryptKeys" -}}
{{- $given := dig "CryptKeeper" "keys" list .Values.hub.config | join ";" -}}
{{- $kept := include "jupyterhub.kept" (list . "hub.config.CryptKeeper.keys") -}}
{{- $given | default $kept | default (include "jupyterhub.random" .) -}}
{{- end }}

{{/* The token of one of hub.services, from (list $ NAME). */}}
{{- define "jupyterhub.serviceToken" -}}
{{- $root := first . -}}
{{- $service := get $root.Values.hub.services (last .) -}}
{{- $kept := include "jupyterhub.kept" (list $root (printf "hub.services.%s.apiToken" (last .))) -}}
{{- $service.api_token | default $service.apiToken | default $kept | default (include "jupyterhub.random" .) -}}
{{- end }}
