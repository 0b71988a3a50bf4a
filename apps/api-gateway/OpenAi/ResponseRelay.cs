using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using MultiAgent.Hosting.Errors;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>Copies an answer to the client as it comes. Returns how it ended: <c>completed</c>, <c>failed</c> or <c>abandoned</c>.</summary>
internal static class ResponseRelay
{
    /// <summary>An answer that is small enough to have been read as a whole.</summary>
    public static async ValueTask<string> JsonAsync(HttpContext context, int status, PipeReader body)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        while (true)
        {
            ReadResult read = await body.ReadAsync(context.RequestAborted);
            if (!read.IsCompleted)
            {
                body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }
            response.ContentLength = read.Buffer.Length;
            Copy(read.Buffer, response.BodyWriter);
            body.AdvanceTo(read.Buffer.End);
            await response.BodyWriter.FlushAsync(context.RequestAborted);
            return status < 400 ? "completed" : "failed";
        }
    }

    /// <summary>Server-sent events. What breaks after the first byte is told in the stream, which then ends without <c>[DONE]</c>.</summary>
    public static async ValueTask<string> StreamAsync(HttpContext context, PipeReader body, KeepAlive keepAlive)
    {
        HttpResponse response = context.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        PipeWriter output = response.BodyWriter;
        KeepAlive.Stream stream = keepAlive.Add(output);
        try
        {
            while (true)
            {
                ReadResult read = await body.ReadAsync(context.RequestAborted);
                if (!read.Buffer.IsEmpty)
                {
                    stream.Enter();
                    try
                    {
                        Copy(read.Buffer, output);
                        body.AdvanceTo(read.Buffer.End);
                        FlushResult flushed = await output.FlushAsync(context.RequestAborted);
                        if (flushed.IsCompleted) return "abandoned";
                    }
                    finally
                    {
                        stream.Exit();
                    }
                }
                else body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return "completed";
            }
        }
        catch (ModelException e)
        {
            stream.Enter();
            output.Write("data: "u8);
            ErrorWriter.WriteOpenAi(output, e.Status, e.Code, e.Message);
            output.Write("\n\n"u8);
            await output.FlushAsync(context.RequestAborted);
            return "failed";
        }
        finally
        {
            keepAlive.Remove(stream);
        }
    }

    private static void Copy(in ReadOnlySequence<byte> from, PipeWriter to)
    {
        if (from.IsSingleSegment) to.Write(from.FirstSpan);
        else foreach (ReadOnlyMemory<byte> segment in from) to.Write(segment.Span);
    }
}
