using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Net.Http.Headers;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Workflows.Graph;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>GET /api/v1/runs/{id}/graph. All that it shows follows from the log, so that the number of the log's last event is its ETag.</summary>
internal static class RunGraphEndpoint
{
    private const int Page = 1000;

    public static async Task<Results<ContentHttpResult, FileContentHttpResult, StatusCodeHttpResult, ProblemHttpResult>> GetAsync(HttpContext http, IRunStore store, IWorkflowSource workflows, string id, string? format, CancellationToken cancellationToken)
    {
        if (format is not (null or "json" or "mermaid")) return Problems.Invalid("format", "must be 'json' or 'mermaid'.");
        string tenantId = http.GetCaller().TenantId;
        if (!Ids.IsValid(id, "run") || await store.FindAsync(tenantId, id) is not { } run) return Problems.NotFound("The run");
        long last = await store.LastSeqAsync(tenantId, id);
        if (last == 0) return Problems.Of(410, ErrorCodes.RunLogDeleted, "The log of the run was deleted: it is older than events of runs are kept.");
        http.Response.Headers.CacheControl = "private, no-cache";
        if (IsKnown(http, ETag(last, format)))
        {
            http.Response.Headers.ETag = ETag(last, format);
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        }
        WorkflowVersion? workflow = null;
        if (run.Kind == RunKind.Workflow && (workflow = await workflows.FindVersionAsync(tenantId, run.AgentId, run.AgentVersion, cancellationToken)) is null) return Problems.NotFound("The version of the workflow");
        var reading = new Reading(run, workflow);
        long seq = 0;
        while (await store.EventsAsync(tenantId, id, seq, Page) is { Count: > 0 } events)
        {
            seq = events[^1].Seq;
            foreach (RunEvent e in events) reading.Apply(e);
        }
        http.Response.Headers.ETag = ETag(seq, format);
        (WorkflowGraph graph, IReadOnlyDictionary<string, NodeState> states) = reading.Finish();
        if (format == "mermaid")
        {
            return TypedResults.Text(graph.ToMermaid(states.ToDictionary(s => s.Key, s => s.Value.State), states.Where(s => s.Value.Note() is not null && s.Key is not (WorkflowGraph.Start or WorkflowGraph.End)).ToDictionary(s => s.Key, s => s.Value.Note()!)),
                "text/vnd.mermaid; charset=utf-8");
        }
        return TypedResults.Bytes(graph.ToJson(json => reading.Write(json, seq), (json, node) => states.GetValueOrDefault(node.Id)?.Write(json)), "application/json; charset=utf-8");
    }

    private static string ETag(long seq, string? format) => string.Create(CultureInfo.InvariantCulture, $"\"{seq}-{format ?? "json"}\"");

    private static bool IsKnown(HttpContext http, string etag) =>
        EntityTagHeaderValue.TryParseList(http.Request.Headers.IfNoneMatch.OfType<string>().ToList(), out IList<EntityTagHeaderValue>? known) && known.Any(k => k.Tag == "*" || k.Compare(new EntityTagHeaderValue(etag), useStrongComparison: false));

    /// <summary>What the log tells of the run as a whole, and of its nodes.</summary>
    private sealed class Reading(RunRecord run, WorkflowVersion? workflow)
    {
        private readonly WorkflowRunGraph? _steps = workflow is null ? null : new WorkflowRunGraph(workflow.Definition);
        private readonly AgentRunGraph? _calls = workflow is null ? new AgentRunGraph(run.Agent) : null;
        private RunStatus _status = RunStatus.Queued;
        private bool _undoing;

        public void Apply(RunEvent e)
        {
            using var document = JsonDocument.Parse(e.Data, new JsonDocumentOptions { MaxDepth = 1002 });
            _undoing |= e.Type == RunEventTypes.Compensating;
            _status = e.Type switch
            {
                RunEventTypes.Started or RunEventTypes.Resumed => RunStatus.Running,
                RunEventTypes.Waiting => RunStatus.Waiting,
                RunEventTypes.Paused => RunStatus.Paused,
                RunEventTypes.Completed => RunStatus.Completed,
                RunEventTypes.Failed => RunStatus.Failed,
                RunEventTypes.Cancelled => RunStatus.Cancelled,
                _ => _status,
            };
            _steps?.Apply(e, document.RootElement);
            _calls?.Apply(e, document.RootElement);
        }

        public (WorkflowGraph Graph, IReadOnlyDictionary<string, NodeState> States) Finish() =>
            _steps is null ? _calls!.Finish(_status) : (WorkflowGraph.Of(workflow!.Definition), _steps.States(_status, _undoing));

        public void Write(Utf8JsonWriter json, long seq)
        {
            json.WriteString("runId"u8, run.Id);
            json.WriteString("kind"u8, RunKindNames.Of(run.Kind));
            json.WriteString(run.Kind == RunKind.Workflow ? "workflow"u8 : "agent"u8, run.Agent);
            json.WriteNumber("version"u8, run.AgentVersion);
            json.WriteString("status"u8, RunStatusNames.Of(_status));
            json.WriteBoolean("compensating"u8, _undoing && _status is not (RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled));
            json.WriteNumber("lastSeq"u8, seq);
        }
    }
}
