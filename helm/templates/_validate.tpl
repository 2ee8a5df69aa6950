{{- /* Refuses values that pass the schema but could not work: the service would not start, or Kubernetes would reject them. */ -}}
{{- define "sellio-cart.validate" -}}
{{- include "sellio-cart.validateAuth" . -}}
{{- include "sellio-cart.validateExtras" . -}}
{{- with .Values.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas" -}}
{{- end -}}
{{- /* Kubernetes takes a limit without a request for both. */ -}}
{{- if and .enabled (not (or (dig "requests" "cpu" "" $.Values.resources) (dig "limits" "cpu" "" $.Values.resources))) -}}
{{- fail "autoscaling is by CPU: set resources.requests.cpu" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sellio-cart.validateAuth" -}}
{{- $config := .Values.config -}}
{{- $mode := $config.AUTH_MODE | default "none" -}}
{{- $tokens := .Values.auth.tokensSecret.name -}}
{{- if and $tokens (eq $mode "none") -}}
{{- fail "auth.tokensSecret.name is set: set config.AUTH_MODE to token or jwt" -}}
{{- end -}}
{{- if and (not $tokens) (eq $mode "token") -}}
{{- fail "config.AUTH_MODE is token: set auth.tokensSecret.name" -}}
{{- end -}}
{{- $missing := list -}}
{{- range $name := list "AUTH_JWT_ISSUER" "AUTH_JWT_AUDIENCE" "AUTH_JWKS" -}}
{{- if not (get $config $name) -}}
{{- $missing = append $missing (printf "config.%s" $name) -}}
{{- else if ne $mode "jwt" -}}
{{- fail (printf "config.%s is set: set config.AUTH_MODE to jwt" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $missing (eq $mode "jwt") -}}
{{- fail (printf "config.AUTH_MODE is jwt: set %s" (join ", " $missing)) -}}
{{- end -}}
{{- $jwks := $config.AUTH_JWKS | default "https://" -}}
{{- if not (regexMatch "^https?://" $jwks) -}}
{{- $mounted := false -}}
{{- range .Values.extraVolumeMounts -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" $jwks) -}}
{{- $mounted = true -}}
{{- end -}}
{{- end -}}
{{- if not $mounted -}}
{{- fail (printf "config.AUTH_JWKS is %s: mount that file by extraVolumes and extraVolumeMounts, or give a URL" $jwks) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* extraEnv would override the chart's variables, and podLabels its selectors, behind the back of the other templates. */ -}}
{{- define "sellio-cart.validateExtras" -}}
{{- $settings := include (print .Template.BasePath "/configmap.yaml") . | fromYaml -}}
{{- $taken := concat (keys $settings.data) (list "DATABASE_URL" "GOMEMLIMIT" "ADMIN_ADDRESS") -}}
{{- range .Values.extraEnv -}}
{{- if has .name $taken -}}
{{- fail (printf "extraEnv sets %s, which the chart sets already" .name) -}}
{{- end -}}
{{- end -}}
{{- $labels := include "sellio-cart.labels" . | fromYaml -}}
{{- range $name, $_ := .Values.podLabels -}}
{{- if or (hasKey $labels $name) (eq $name "app.kubernetes.io/component") -}}
{{- fail (printf "podLabels sets %s, which the chart sets already" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
