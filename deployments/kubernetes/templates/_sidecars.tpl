{{- /*
Podman, for one build. Not privileged: root of its own container, with what a build's steps may have and SYS_ADMIN, for
overlay mounts and chroots. Seccomp's default filter keeps runc from making a session keyring, AppArmor's forbids mounts,
whoever asks.
*/}}
{{- define "hubwright.podman" -}}
{{- $podman := .Values.pools.images.podman }}
name: podman
image: {{ $podman.image }}
restartPolicy: Always
# fsGroup has new files inherit a group, which would be the group of files in the image too.
command:
  - sh
  - -c
  - chmod g-s /run /tmp /var/tmp /var/lib/containers && exec podman system service --time=0 unix:///run/podman/podman.sock
env:
  - {name: HOME, value: /tmp}
  - {name: TMPDIR, value: /var/tmp}
  - {name: BUILDAH_ISOLATION, value: chroot}
  {{- range $name, $value := $podman.env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
securityContext:
  runAsNonRoot: false
  runAsUser: 0
  runAsGroup: 0
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
    add:
      - CHOWN
      - DAC_OVERRIDE
      - FOWNER
      - FSETID
      - KILL
      - NET_BIND_SERVICE
      - SETFCAP
      - SETGID
      - SETPCAP
      - SETUID
      - SYS_ADMIN
      - SYS_CHROOT
  seccompProfile: {type: Unconfined}
  appArmorProfile: {type: Unconfined}
resources: {{ toJson $podman.resources }}
# The flow is not root: once the socket answers, it is let in.
startupProbe:
  exec:
    command:
      - sh
      - -c
      - podman --url unix:///run/podman/podman.sock version > /dev/null && chmod 0666 /run/podman/podman.sock
  periodSeconds: 1
  timeoutSeconds: 10
  failureThreshold: 60
volumeMounts:
  - {name: podman-work, mountPath: /run, subPath: run}
  - {name: podman-work, mountPath: /tmp, subPath: tmp}
  - {name: podman-work, mountPath: /var/tmp, subPath: builds}
  - {name: podman-work, mountPath: /etc/containers/networks, subPath: networks}
  - {name: podman, mountPath: /run/podman}
  - {name: containers, mountPath: /var/lib/containers}
  {{- include "hubwright.certificate-mounts" . | nindent 2 }}
{{- end }}

{{- define "hubwright.browser" -}}
name: browser
image: {{ .Values.browser.image }}
restartPolicy: Always
env:
  - {name: HOME, value: /tmp}
  {{- range $name, $value := .Values.browser.env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
securityContext: {{ include "hubwright.container" . | fromYaml | toJson }}
resources: {{ toJson .Values.browser.resources }}
volumeMounts:
  - {name: browser, mountPath: /tmp}
  {{- include "hubwright.certificate-mounts" . | nindent 2 }}
{{- end }}
