{{/*
What each way in needs for streams that stay open for hours, as YAML; values of the same name win. The README tells why.
*/}}

{{/* Seconds that a balancer keeps the connections of a pod that leaves: as long as the pod has, and the hour at most that ALB and GKE take. */}}
{{- define "siar.preset.draining" -}}
{{- min 3600 (include "siar.gateway.grace" . | int64) -}}
{{- end -}}

{{/* Annotations of the Ingress. */}}
{{- define "siar.preset.ingress" -}}
{{- $preset := .Values.gateway.ingress.preset -}}
{{- if eq $preset "nginx" -}}
# The controller of the Kubernetes project, and those that read its annotations.
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-body-size: 8m
# The controller of F5.
nginx.org/proxy-buffering: "false"
nginx.org/proxy-read-timeout: 3600s
nginx.org/proxy-send-timeout: 3600s
nginx.org/client-max-body-size: 8m
{{- else if and (eq $preset "traefik") .Values.gateway.ingress.tls -}}
traefik.ingress.kubernetes.io/router.tls: "true"
{{- else if eq $preset "alb" -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=4000
alb.ingress.kubernetes.io/target-group-attributes: load_balancing.algorithm.type=least_outstanding_requests,deregistration_delay.timeout_seconds={{ include "siar.preset.draining" . }}
# The public port has no page of its own: that it says so shows that it is there.
alb.ingress.kubernetes.io/healthcheck-path: /
alb.ingress.kubernetes.io/success-codes: "404"
{{- end -}}
{{- end -}}

{{/* Annotations of the public Service. */}}
{{- define "siar.preset.service" -}}
{{- if .Values.gateway.ingress.enabled -}}
{{- if eq .Values.gateway.ingress.preset "gke" -}}
cloud.google.com/neg: '{"ingress": true}'
cloud.google.com/backend-config: {{ printf `{"default": "%s-gateway"}` (include "siar.fullname" .) | squote }}
{{- else if eq .Values.gateway.ingress.preset "traefik" -}}
# The host that the browser named, with which the gateway compares its origin.
traefik.ingress.kubernetes.io/service.passhostheader: "true"
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who else asks the admin port: health checks of a balancer. A list of peers, or nothing. */}}
{{- define "siar.preset.adminFrom" -}}
{{- if and .Values.gateway.ingress.enabled (eq .Values.gateway.ingress.preset "gke") -}}
- ipBlock: {cidr: 35.191.0.0/16}
- ipBlock: {cidr: 130.211.0.0/22}
{{- end -}}
{{- end -}}
