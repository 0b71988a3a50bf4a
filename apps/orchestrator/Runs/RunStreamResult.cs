using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// A run as server-sent events: what is stored after a position, then what comes, up to the final event, also of
/// a run that rests or is another process's, which is followed in the store.
/// </summary>
internal sealed class RunStreamResult(RunRecord run, LiveRun? started, LiveCursor from, IRunStreamWriter writer) : IResult
{
    private const int Page = 200;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        IServiceProvider services = httpContext.RequestServices;
        var store = services.GetRequiredService<IRunStore>();
        var engine = services.GetRequiredService<RunEngine>();
        var time = services.GetRequiredService<TimeProvider>();
        TimeSpan ping = TimeSpan.FromSeconds(services.GetRequiredService<IOptions<RunsOptions>>().Value.PingSeconds);
        CancellationToken aborted = httpContext.RequestAborted;
        HttpResponse response = httpContext.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        PipeWriter output = response.BodyWriter;
        LiveRun? live = started;
        LiveCursor cursor = from;
        bool ended = run.IsFinal;
        long spoken = time.GetTimestamp();
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
                bool over = await WriteAsync(output, items);
                if (items.Count > 0)
                {
                    await output.FlushAsync(aborted);
                    spoken = time.GetTimestamp();
                }
                if (over) return;
                if (more is null && !behind)
                {
                    // The process stops, or the run rests or is another process's now: it goes on.
                    if (engine.IsStopping) return;
                    live = null;
                    continue;
                }
                if (items.Count > 0 || (behind && live is not null)) continue;
                // Nothing new of a run that is not worked on here: it has ended before the position asked for, or another process works on it.
                if (live is null && (ended || engine.IsStopping)) return;
                TimeSpan quiet = ping - time.GetElapsedTime(spoken);
                if (quiet > TimeSpan.Zero && live is null)
                {
                    await Task.Delay(quiet < RunOutcomes.Pause ? quiet : RunOutcomes.Pause, time, aborted);
                    // It may have been taken up here by now.
                    live = engine.Find(run.TenantId, run.Id);
                    if (live is not null) cursor = LiveCursor.After(cursor.Seq);
                    continue;
                }
                try
                {
                    if (live is not null) await more!.WaitAsync(ping, time, aborted);
                    else throw new TimeoutException();
                }
                catch (TimeoutException)
                {
                    output.Write(": ping\n\n"u8);
                    await output.FlushAsync(aborted);
                    spoken = time.GetTimestamp();
                    if (live is null) ended = (await store.FindAsync(run.TenantId, run.Id))?.IsFinal ?? true;
                }
            }
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            // The reader left; the run goes on.
        }
    }

    /// <summary>Writes the items; true when the final event was among them.</summary>
    private async ValueTask<bool> WriteAsync(PipeWriter output, List<LiveItem> items)
    {
        foreach (LiveItem item in items)
        {
            if (item.Event is not { } e)
            {
                writer.WriteText(output, item.Text.Span);
                continue;
            }
            await writer.WriteEventAsync(output, e);
            if (RunEventTypes.IsFinal(e.Type)) return true;
        }
        return false;
    }
}
