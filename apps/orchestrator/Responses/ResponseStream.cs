using System.IO.Pipelines;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>A run's log as the typed events of the Responses API.</summary>
internal sealed class ResponseStream : IRunStreamWriter
{
    private readonly IRunStore _store;
    private readonly RunRecord _run;
    private readonly ResponseEvents _events;
    private readonly ResponseFold _fold;

    /// <param name="store">Asked for the final row.</param>
    /// <param name="run">The run.</param>
    /// <param name="request">What it was asked.</param>
    /// <param name="startingAfter">Number of the last event that the reader has seen; -1 for none.</param>
    public ResponseStream(IRunStore store, RunRecord run, ResponseRequest request, long startingAfter)
    {
        _store = store;
        _run = run;
        _events = new ResponseEvents(request, run, startingAfter);
        _fold = new ResponseFold(request, ResponseWriter.SuffixOf(run), _events);
    }

    public void WriteText(PipeWriter output, ReadOnlySpan<byte> text)
    {
        _events.Output = output;
        _fold.Text(text);
    }

    public async ValueTask WriteEventAsync(PipeWriter output, RunEvent e)
    {
        _events.Output = output;
        if (!RunEventTypes.IsFinal(e.Type)) _fold.Apply(e);
        else _fold.End(await _store.FindAsync(_run.TenantId, _run.Id) ?? _run);
    }
}
