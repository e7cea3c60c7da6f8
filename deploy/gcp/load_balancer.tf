# HTTPS with a certificate of Google's, for the name that both clouds answer to.
resource "google_compute_global_address" "tureen" {
  name = var.name
}

resource "google_compute_region_network_endpoint_group" "tureen" {
  name                  = var.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = google_cloud_run_v2_service.tureen.name
  }
}

resource "google_compute_backend_service" "tureen" {
  name                  = var.name
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  backend {
    group = google_compute_region_network_endpoint_group.tureen.id
  }
  log_config {
    enable      = true
    sample_rate = 0.01
  }
}

resource "google_compute_url_map" "tureen" {
  name            = var.name
  default_service = google_compute_backend_service.tureen.id
}

resource "google_compute_managed_ssl_certificate" "tureen" {
  name = var.name
  managed {
    domains = [var.domain]
  }
}

resource "google_compute_ssl_policy" "tureen" {
  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "tureen" {
  name             = var.name
  url_map          = google_compute_url_map.tureen.id
  ssl_certificates = [google_compute_managed_ssl_certificate.tureen.id]
  ssl_policy       = google_compute_ssl_policy.tureen.id
}

resource "google_compute_global_forwarding_rule" "tureen" {
  name                  = var.name
  target                = google_compute_target_https_proxy.tureen.id
  ip_address            = google_compute_global_address.tureen.id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}

output "address" {
  value       = google_compute_global_address.tureen.address
  description = "For the secondary record of ../aws/failover.yaml."
}
