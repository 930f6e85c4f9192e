{{/* The command line of a gateway. */}}
{{- define "siar.gateway.args" -}}
{{- with .Values.gateway -}}
- --config-secret={{ $.Release.Namespace }}/siar-{{ .name }}
- --config-file=/etc/siar/config/snapshot.json.gz
- --gateway={{ .name }}
- --default-namespace={{ include "siar.defaultNamespace" $ }}
- --listen={{ $.Values.bindAddress }}:8080
{{- if .tls.secretName }}
- --listen-tls={{ $.Values.bindAddress }}:8443
- --tls-dir=/etc/siar/tls
{{- end }}
- --admin={{ $.Values.bindAddress }}:9090
{{- with include "siar.redis.url" $ }}
- --redis={{ . }}
{{- end }}
{{- if $.Values.redis.existingSecret }}
- --redis-secret-dir=/etc/siar/redis
{{- end }}
- --redis-key-prefix={{ .redisKeyPrefix }}
- --cookie={{ .cookie }}
{{- with .trustedProxies }}
- --trusted-proxies={{ join "," . }}
{{- end }}
{{- with .allowTargets }}
- {{ printf "--allow-targets=%s" (join "," .) | quote }}
{{- end }}
{{- if not (kindIs "invalid" .workers) }}
- --workers={{ int .workers }}
{{- end }}
- --endpoint-delay={{ .endpointDelay }}
- --drain={{ .drain }}
- --log={{ .log }}
- --log-format={{ .logFormat }}
{{- end }}
{{- end -}}
