"""Every route of the program and what stands before it. A new route belongs in this table.

``test_gate_table.py`` walks the running application: a route that is not here fails, and every line
is held to what its group promises.
"""

from __future__ import annotations

OPEN_READ = """
GET /internal/ping
"""
"""Answered without any login."""

PAGE_READ = """
GET /docs
GET /easel/boot.js
GET /easel/page/state
GET /easel/static/{version}/{name:path}
GET /easel/trusted.js
GET /easel/v1/cards
GET /easel/v1/cards/{page}
GET /easel/v1/cards/{page}/card
GET /easel/v1/cards/{page}/preview
GET /easel/v1/downloads
GET /easel/v1/extensions
GET /easel/v1/extensions/states
GET /easel/v1/inputs/{sha256}
GET /easel/v1/jobs
GET /easel/v1/jobs/{job_id}
GET /easel/v1/jobs/{job_id}/preview
GET /easel/v1/jobs/{job_id}/progress
GET /easel/v1/jobs/{job_id}/replay
GET /easel/v1/ledger
GET /easel/v1/ledger/file.csv
GET /easel/v1/ledger/file.json
GET /easel/v1/ledger/outputs
GET /easel/v1/merge/blocks
GET /easel/v1/merge/metadata
GET /easel/v1/models
GET /easel/v1/selftest
GET /easel/v1/scripts
GET /easel/v1/settings
GET /easel/v1/state
GET /easel/v1/styles
GET /easel/v1/term-lists
GET /easel/v1/term-lists/{name:path}
GET /image/{image_id}
GET /image/{image_id}/download
GET /image/{image_id}/thumb
GET /internal/pending-tasks
GET /internal/quicksettings-hint
GET /internal/ready
GET /internal/sysinfo
GET /internal/sysinfo-download
WS /live/ws
GET /openapi.json
HEAD /openapi.json
GET /sd_extra_networks/cover-images
GET /sd_extra_networks/get-single-card
GET /sd_extra_networks/metadata
GET /sd_extra_networks/thumb
"""
"""Reads; behind the login of the page."""

PAGE_ASKS = """
POST /easel/v1/downloads/inspect
POST /easel/v1/image-info
POST /easel/v1/interrogate
POST /easel/v1/prompt/check
POST /easel/v1/strip
POST /easel/v1/verify
POST /internal/progress
"""
"""Reads that need a body, so that browsers treat them as changes; behind the page's login."""

PAGE_CHANGES = """
POST /easel/page/open-folder
POST /easel/page/save-picture
POST /easel/v1/batch
POST /easel/v1/cards/refresh
PUT /easel/v1/cards/{page}/card
POST /easel/v1/cards/{page}/hash
DELETE /easel/v1/cards/{page}/preview
PUT /easel/v1/cards/{page}/preview
POST /easel/v1/convert
POST /easel/v1/downloads
PUT /easel/v1/downloads/token
DELETE /easel/v1/downloads/{download_id}
POST /easel/v1/downloads/{download_id}/cancel
POST /easel/v1/downloads/{download_id}/resume
POST /easel/v1/images/{image_id}/replay
POST /easel/v1/inputs
POST /easel/v1/inputs/from-image
POST /easel/v1/interrupt
POST /easel/v1/jobs
POST /easel/v1/jobs/{job_id}/cancel
POST /easel/v1/jobs/{job_id}/first
POST /easel/v1/jobs/{job_id}/move
POST /easel/v1/jobs/{job_id}/pause
POST /easel/v1/jobs/{job_id}/resume
POST /easel/v1/jobs/{job_id}/retry
POST /easel/v1/ledger/hash
POST /easel/v1/ledger/hash/stop
POST /easel/v1/merge
POST /easel/v1/models/cancel
POST /easel/v1/models/load
POST /easel/v1/models/refresh
POST /easel/v1/models/reload
POST /easel/v1/replay
POST /easel/v1/models/unload
POST /easel/v1/notices/{notice_id}/dismiss
POST /easel/v1/queue/clear-finished
POST /easel/v1/queue/pause
POST /easel/v1/queue/resume
PUT /easel/v1/settings
POST /easel/v1/settings/reset
POST /easel/v1/safe-mode/leave
POST /easel/v1/selftest
POST /easel/v1/selftest/stop
POST /easel/v1/skip
DELETE /easel/v1/styles/{name:path}
PUT /easel/v1/styles/{name:path}
DELETE /easel/v1/term-lists/{name:path}
PUT /easel/v1/term-lists/{name:path}
"""
"""Changes; behind the login of the page and the rules for other origins."""

LOCAL_CHANGES = """
POST /easel/v1/extensions/index
POST /easel/v1/extensions/install
POST /easel/v1/extensions/installed/{name}/check
POST /easel/v1/extensions/installed/{name}/remove
POST /easel/v1/extensions/installed/{name}/switch
POST /easel/v1/extensions/installed/{name}/update
POST /easel/v1/extensions/look
POST /easel/v1/extensions/off
POST /easel/v1/extensions/packages
POST /easel/v1/extensions/restart
POST /easel/v1/extensions/states
DELETE /easel/v1/extensions/states/{file}
POST /easel/v1/extensions/states/{file}/look
POST /easel/v1/extensions/states/{file}/restore
"""
"""Behind the login of the page, and from this machine alone."""

API_READ = """
GET /sdapi/v1/cmd-flags
GET /sdapi/v1/embeddings
GET /sdapi/v1/extensions
GET /sdapi/v1/face-restorers
GET /sdapi/v1/hypernetworks
GET /sdapi/v1/latent-upscale-modes
GET /sdapi/v1/loras
GET /sdapi/v1/memory
GET /sdapi/v1/options
GET /sdapi/v1/progress
GET /sdapi/v1/prompt-styles
GET /sdapi/v1/realesrgan-models
GET /sdapi/v1/samplers
GET /sdapi/v1/schedulers
GET /sdapi/v1/script-info
GET /sdapi/v1/scripts
GET /sdapi/v1/sd-models
GET /sdapi/v1/sd-vae
GET /sdapi/v1/upscalers
"""
"""Reads of the API; the login of the page or of the API opens them."""

API_ASKS = """
POST /sdapi/v1/interrogate
POST /sdapi/v1/png-info
"""
"""Reads of the API that need a body."""

API_CHANGES = """
POST /sdapi/v1/extra-batch-images
POST /sdapi/v1/extra-single-image
POST /sdapi/v1/img2img
POST /sdapi/v1/interrupt
POST /sdapi/v1/options
POST /sdapi/v1/refresh-checkpoints
POST /sdapi/v1/refresh-embeddings
POST /sdapi/v1/refresh-loras
POST /sdapi/v1/refresh-vae
POST /sdapi/v1/reload-checkpoint
POST /sdapi/v1/server-kill
POST /sdapi/v1/server-restart
POST /sdapi/v1/server-stop
POST /sdapi/v1/skip
POST /sdapi/v1/txt2img
POST /sdapi/v1/unload-checkpoint
"""
"""Changes over the API."""

GRADIO_READ = """
GET /
HEAD /
GET /assets/{path:path}
GET /config
GET /config/
GET /favicon.ico
GET /gradio_api/app_id
GET /gradio_api/app_id/
GET /gradio_api/call/{api_name}/{event_id}
GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}
GET /gradio_api/file={path_or_url:path}
HEAD /gradio_api/file={path_or_url:path}
GET /gradio_api/heartbeat/{session_hash}
GET /gradio_api/info
GET /gradio_api/info/
GET /gradio_api/queue/data
GET /gradio_api/startup-events
GET /gradio_api/theme.css
GET /gradio_api/upload_progress
GET /robots.txt
GET /static/{path:path}
GET /theme.css
"""
"""Gradio's, behind the login of the page; the door before it lets them through."""

GRADIO_CHANGES = """
POST /gradio_api/api/{api_name}
POST /gradio_api/api/{api_name}/
POST /gradio_api/call/{api_name}
POST /gradio_api/call/{api_name}/
POST /gradio_api/cancel
POST /gradio_api/component_server
POST /gradio_api/component_server/
POST /gradio_api/queue/join
POST /gradio_api/reset
POST /gradio_api/reset/
POST /gradio_api/run/{api_name}
POST /gradio_api/run/{api_name}/
POST /gradio_api/upload
"""
"""The same for what is posted; paths in it must be uploads."""

CLOSED = """
POST /gradio_api/call/v2/{api_name}
POST /gradio_api/call/v2/{api_name}/
GET /gradio_api/call/v2/{api_name}/{event_id}
GET /gradio_api/deep_link
GET /gradio_api/dev/reload
GET /gradio_api/file/{path:path}
GET /gradio_api/login_check
GET /gradio_api/login_check/
GET /gradio_api/openapi.json
POST /gradio_api/process_recording
GET /gradio_api/proxy={url_path:path}
HEAD /gradio_api/proxy={url_path:path}
GET /gradio_api/queue/status
GET /gradio_api/runs
GET /gradio_api/runs/
POST /gradio_api/stream/{event_id}
POST /gradio_api/stream/{event_id}/close
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
GET /gradio_api/token
GET /gradio_api/token/
POST /gradio_api/undo-vibe-edit
POST /gradio_api/undo-vibe-edit/
GET /gradio_api/user
GET /gradio_api/user/
GET /gradio_api/vibe-code
POST /gradio_api/vibe-code
GET /gradio_api/vibe-code/
POST /gradio_api/vibe-code/
POST /gradio_api/vibe-edit
POST /gradio_api/vibe-edit/
POST /gradio_api/vibe-starter-queries
POST /gradio_api/vibe-starter-queries/
POST /login
POST /login/
GET /logout
GET /manifest.json
GET /monitoring
GET /monitoring/summary
GET /monitoring/{key}
GET /pwa_icon
GET /pwa_icon/{size}
GET /svelte/{path:path}
"""
"""Gradio has them, and nobody can reach them: answered 404 before Gradio."""


def lines(*groups: str) -> list[tuple[str, str]]:
    """(method, path) of every line of some groups."""
    found = []
    for group in groups:
        for line in group.split("\n"):
            if line:
                method, _, path = line.partition(" ")
                found.append((method, path))
    return found


READS = lines(OPEN_READ, PAGE_READ, API_READ, GRADIO_READ)
CHANGES = lines(PAGE_ASKS, PAGE_CHANGES, API_ASKS, API_CHANGES, GRADIO_CHANGES)
LOCAL = lines(LOCAL_CHANGES)
ALL = [*READS, *CHANGES, *LOCAL, *lines(CLOSED)]
