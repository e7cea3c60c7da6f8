# Tureen on Cloud Run. The load balancer in front of it is in load_balancer.tf, what it keeps in storage.tf.
terraform {
  required_version = ">= 1.5"
  required_providers {
    google = { source = "hashicorp/google", version = "~> 6.0" }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_service_account" "tureen" {
  account_id   = var.name
  display_name = "Tureen"
}

resource "google_cloud_run_v2_service" "tureen" {
  name                 = var.name
  location             = var.region
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  invoker_iam_disabled = true # Tureen checks its clients itself: keys, in a secret
  deletion_protection  = true

  template {
    service_account                  = google_service_account.tureen.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "60s"
    max_instance_request_concurrency = var.concurrency

    scaling {
      min_instance_count = var.least
      max_instance_count = var.most
    }

    containers {
      image = var.image
      args  = ["serve", "--models", "/models"]

      resources {
        limits            = { cpu = var.cpus, memory = var.memory }
        cpu_idle          = false # what is kept goes on its way after the answer
        startup_cpu_boost = true
      }

      ports {
        container_port = 8080
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 90
        http_get {
          path = "/readyz"
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }

      volume_mounts {
        name       = "keys"
        mount_path = "/keys"
      }
    }

    volumes {
      name = "keys"
      secret {
        secret = google_secret_manager_secret.keys.secret_id
        items {
          version = "latest"
          path    = "keys"
        }
      }
    }
  }
}

locals {
  environment = {
    TUREEN_KEYS         = "/keys/keys"
    TUREEN_REQUIRE_AUTH = "on"
    TUREEN_STORE        = "s3://${google_storage_bucket.kept.name}/kept"
    TUREEN_S3_ENDPOINT  = "https://storage.googleapis.com"
    AWS_DEFAULT_REGION  = "auto"
    # Cloud Run waits for ten seconds, and sends nothing new meanwhile.
    TUREEN_DRAIN_DELAY      = "0s"
    TUREEN_SHUTDOWN_TIMEOUT = "9s"
  }
  secrets = {
    AWS_ACCESS_KEY_ID     = google_secret_manager_secret.key_id.secret_id
    AWS_SECRET_ACCESS_KEY = google_secret_manager_secret.key.secret_id
  }
}
