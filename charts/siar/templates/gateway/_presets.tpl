{{/* What each way in needs for streams; values of the same name win. */}}

{{/* Annotations of the public Service. */}}
{{- define "siar.preset.service" -}}
{{- end -}}

{{/* Who else asks the admin port: health checks of a balancer. A list of peers, or nothing. */}}
{{- define "siar.preset.adminFrom" -}}
{{- end -}}
