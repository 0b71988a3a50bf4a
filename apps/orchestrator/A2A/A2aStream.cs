using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.A2A;

/// <summary>A task as server-sent events: as it stands, then the pieces of its answer, and how it ended. Each is a response of JSON-RPC.</summary>
internal sealed class A2aStream(StartedRun started, A2aRequest request) : IResult
{
    private const int Page = 200;

    private readonly StringBuilder _sent = new();
    private bool _fresh = true;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var store = httpContext.RequestServices.GetRequiredService<IRunStore>();
        var engine = httpContext.RequestServices.GetRequiredService<RunEngine>();
        var time = httpContext.RequestServices.GetRequiredService<TimeProvider>();
        CancellationToken aborted = httpContext.RequestAborted;
        httpContext.Response.ContentType = "text/event-stream; charset=utf-8";
        httpContext.Response.Headers.CacheControl = "no-cache";
        httpContext.Response.Headers["X-Accel-Buffering"] = "no";
        RunRecord run = started.Outcome?.Run ?? started.Run;
        JsonObject first = A2aWire.Task(run, started.Outcome?.Message, request.Dialect);
        await WriteAsync(httpContext, request.Dialect == A2aDialect.Current ? new JsonObject { ["task"] = first } : first);
        if (started.Outcome is not null) return;
        LiveRun? live = started.Live;
        LiveCursor cursor = LiveCursor.FromStart;
        var items = new List<LiveItem>();
        try
        {
            while (true)
            {
                items.Clear();
                bool behind = live is null;
                Task? more = live?.Read(ref cursor, items, out behind);
                if (behind)
                {
                    foreach (RunEvent e in await store.EventsAsync(run.TenantId, run.Id, cursor.Seq, Page))
                    {
                        items.Add(new LiveItem(e, default));
                        cursor.Seq = e.Seq;
                    }
                }
                foreach (LiveItem item in items)
                    if (await ShowAsync(httpContext, store, run, item)) return;
                if (items.Count > 0) continue;
                if (more is not null && live is not null)
                {
                    await more.WaitAsync(aborted);
                    continue;
                }
                // Another process works on it, or it rests.
                if (engine.IsStopping) return;
                RunRecord now = await store.FindAsync(run.TenantId, run.Id) ?? run;
                if (now.Status == RunStatus.Waiting || now.IsFinal)
                {
                    if (!now.IsFinal) await WriteAsync(httpContext, A2aWire.StatusUpdate(now, request.Dialect));
                    if (!now.IsFinal || cursor.Seq == long.MaxValue) return;
                }
                await Task.Delay(RunOutcomes.Pause, time, aborted);
                live = engine.Find(run.TenantId, run.Id);
                cursor = LiveCursor.After(cursor.Seq);
            }
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            // The reader left; the task goes on.
        }
    }

    /// <summary>True when it was the end.</summary>
    private async Task<bool> ShowAsync(HttpContext http, IRunStore store, RunRecord run, LiveItem item)
    {
        if (item.Event is not { } e)
        {
            await PieceAsync(http, run, Encoding.UTF8.GetString(item.Text.Span), last: false);
            return false;
        }
        if (e.Type == RunEventTypes.ModelCompleted && !_fresh && HoldsCalls(e.Data))
        {
            // What was said before the calls is not the answer: the next piece takes its place.
            _fresh = true;
            _sent.Clear();
        }
        if (e.Type == RunEventTypes.MessageCompleted)
        {
            string whole = Encoding.UTF8.GetString(FinalMessage.Parse(e.Data).Text.Span), sent = _sent.ToString();
            if (whole.StartsWith(sent, StringComparison.Ordinal)) await PieceAsync(http, run, whole[sent.Length..], last: true);
            else
            {
                _fresh = true;
                await PieceAsync(http, run, whole, last: true);
            }
        }
        if (!RunEventTypes.IsFinal(e.Type)) return false;
        RunRecord end = await store.FindAsync(run.TenantId, run.Id) ?? run;
        await WriteAsync(http, A2aWire.StatusUpdate(end, request.Dialect));
        return true;
    }

    private async Task PieceAsync(HttpContext http, RunRecord run, string text, bool last)
    {
        if (text.Length == 0 && _fresh) return;
        await WriteAsync(http, A2aWire.ArtifactUpdate(run, text, append: !_fresh, last, request.Dialect));
        _fresh = false;
        _sent.Append(text);
    }

    private async Task WriteAsync(HttpContext http, JsonObject result)
    {
        await http.Response.WriteAsync($"data: {A2aWire.Result(request.Id, result).ToJsonString()}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }

    private static bool HoldsCalls(byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        return document.RootElement.TryGetProperty("message", out _);
    }
}
