using System.IO.Pipelines;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>How a reader is shown a run's log. One for each reader.</summary>
internal interface IRunStreamWriter
{
    /// <summary>A piece of the message in the making.</summary>
    void WriteText(PipeWriter output, ReadOnlySpan<byte> text);

    /// <summary>A stored event, the final one included.</summary>
    ValueTask WriteEventAsync(PipeWriter output, RunEvent e);
}
