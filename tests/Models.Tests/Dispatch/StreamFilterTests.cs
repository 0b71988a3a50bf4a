using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using CsCheck;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Models.Tests.Dispatch;

public sealed class StreamFilterTests
{
    private const string Head = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    private const string Text = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"he said \\\"usage\\\":{\\\"prompt_tokens\\\":999} and [DONE]\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    private const string Finish = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
    private const string Usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n";
    private const string Done = "data: [DONE]\n\n";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Read_StreamInAnyPieces_DropsTheUsageChunkOnlyWhereNotAskedFor(bool keep)
    {
        string stream = Head + ": ping\n\n" + Text + Finish + Usage + Done;
        string expected = keep ? stream : stream.Replace(Usage, "");
        Gen.Int[0, stream.Length].Array[0, 12].Sample(cuts =>
        {
            (string passed, StreamFilter filter) = Run(stream, cuts, keep);
            Assert.Equal(expected, passed);
            Assert.Equal(new TokenUsage(11, 7, 3, 0, 2), filter.Usage);
            Assert.True(filter.Done);
            Assert.True(filter.Finished);
            Assert.False(filter.Failed);
        }, iter: 300);
    }

    [Fact]
    public void Read_WithCarriageReturns_FindsEventsAndUsage()
    {
        string stream = (Head + Text + Usage + Done).Replace("\n", "\r\n");
        (string passed, StreamFilter filter) = Run(stream, [10, 100, 150], keep: false);
        Assert.Equal((Head + Text + Done).Replace("\n", "\r\n"), passed);
        Assert.Equal(11, filter.Usage!.Value.InputTokens);
    }

    [Fact]
    public void Read_UsageOnAContentChunk_IsReadAndTheChunkKept()
    {
        string chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
        (string passed, StreamFilter filter) = Run(chunk + Done, [], keep: false);
        Assert.Equal(chunk + Done, passed);
        Assert.Equal(new TokenUsage(1, 2), filter.Usage);
    }

    [Fact]
    public void Read_UsageReportedSeveralTimes_TheLastCounts()
    {
        string first = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
        (_, StreamFilter filter) = Run(first + Usage + Done, [20, first.Length + 5], keep: true);
        Assert.Equal(7, filter.Usage!.Value.OutputTokens);
    }

    [Fact]
    public void Read_ErrorEvent_IsPassedOnAndNoticed()
    {
        string error = "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
        (string passed, StreamFilter filter) = Run(Head + error, [], keep: false);
        Assert.Equal(Head + error, passed);
        Assert.True(filter.Failed);
        Assert.False(filter.Done);
    }

    [Fact]
    public void Read_StreamCutInsideAnEvent_KeepsTheTextForCounting()
    {
        (string passed, StreamFilter filter) = Run(Head + Text + "data: {\"cho", [], keep: false);
        Assert.Equal(Head + Text + "data: {\"cho", passed);
        Assert.Null(filter.Usage);
        Assert.False(filter.Done);
        Assert.Contains("he said", Encoding.UTF8.GetString(filter.Kept));
    }

    [Fact]
    public void Read_LongStream_KeepsABoundedBeginning()
    {
        string many = string.Concat(Enumerable.Repeat(Text, 3000));
        (string passed, StreamFilter filter) = Run(many + Done, [500, 90_000, 300_000], keep: false);
        Assert.Equal(many + Done, passed);
        Assert.Equal(passed.Length, filter.TotalBytes);
        Assert.Equal(256 * 1024, filter.Kept.Length);
    }

    [Fact]
    public async Task Read_ConsumerLeavesPartOfAnEvent_GetsItAgainWithMore()
    {
        var pipe = new Pipe();
        var filter = new StreamFilter(pipe.Reader, keepUsageChunk: true);
        await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(Head));
        ReadResult first = await filter.ReadAsync();
        filter.AdvanceTo(first.Buffer.GetPosition(5), first.Buffer.End);
        await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(Finish));
        ReadResult second = await filter.ReadAsync();
        Assert.Equal((Head + Finish)[5..], Encoding.UTF8.GetString(second.Buffer));
    }

    private static (string Passed, StreamFilter Filter) Run(string stream, int[] cuts, bool keep)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(stream);
        int[] ends = [.. cuts.Where(c => c > 0 && c < bytes.Length).Distinct().Order(), bytes.Length];
        // No threshold: the pieces are written and read in turn, without waiting for each other.
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var filter = new StreamFilter(pipe.Reader, keep);
        var passed = new StringBuilder();
        int start = 0;
        foreach (int end in ends)
        {
            pipe.Writer.Write(bytes.AsSpan(start, end - start));
            pipe.Writer.FlushAsync().AsTask().GetAwaiter().GetResult();
            start = end;
            while (filter.TryRead(out ReadResult read)) Take(read);
        }
        pipe.Writer.Complete();
        while (!filter.Completed)
        {
            Assert.True(filter.TryRead(out ReadResult read));
            Take(read);
        }
        return (passed.ToString(), filter);

        void Take(in ReadResult read)
        {
            passed.Append(Encoding.UTF8.GetString(read.Buffer));
            filter.AdvanceTo(read.Buffer.End);
        }
    }
}
