# A bucket behind the same store interface as S3: boto3 reaches it by the interoperable API, with an HMAC key.
resource "google_storage_bucket" "kept" {
  name                        = "${var.project}-${var.name}-kept"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      age = var.retention_days
    }
    action {
      type = "Delete"
    }
  }
}

resource "google_storage_bucket_iam_member" "tureen" {
  bucket = google_storage_bucket.kept.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_service_account.tureen.email}"
}

resource "google_storage_hmac_key" "tureen" {
  service_account_email = google_service_account.tureen.email
}

resource "google_secret_manager_secret" "key_id" {
  secret_id = "${var.name}-key-id"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "key_id" {
  secret      = google_secret_manager_secret.key_id.id
  secret_data = google_storage_hmac_key.tureen.access_id
}

resource "google_secret_manager_secret" "key" {
  secret_id = "${var.name}-key"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "key" {
  secret      = google_secret_manager_secret.key.id
  secret_data = google_storage_hmac_key.tureen.secret
}

# The API keys of clients, as `tureen keys` writes them: gcloud secrets versions add tureen-keys --data-file keys.json
resource "google_secret_manager_secret" "keys" {
  secret_id = "${var.name}-keys"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "tureen" {
  for_each = {
    key_id = google_secret_manager_secret.key_id.id
    key    = google_secret_manager_secret.key.id
    keys   = google_secret_manager_secret.keys.id
  }
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.tureen.email}"
}
