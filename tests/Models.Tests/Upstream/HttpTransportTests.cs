using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Upstream;

public sealed class HttpTransportTests : IDisposable
{
    private static readonly UpstreamTimeouts Patient = new(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(20));
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly HttpTransport _transport = new(TimeProvider.System);

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\nhello world")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nB\r\nhello world\r\n0\r\nTrailer: x\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n\r\nhello world")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:11\r\n\r\nhello world")]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world")]
    public async Task Send_ResponseCutAtEveryByte_DecodesTheBody(string response)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(response);
        for (int cut = 1; cut < bytes.Length; cut++)
        {
            int at = cut;
            using var server = new RawServer(async (stream, _) =>
            {
                await RawServer.ReadOneAsync(stream);
                await stream.WriteAsync(bytes.AsMemory(0, at));
                await Task.Yield();
                await stream.WriteAsync(bytes.AsMemory(at));
            });
            await using UpstreamResponse answer = await SendAsync(server);
            Assert.Equal(200, answer.StatusCode);
            Assert.Equal("hello world", await ReadAllAsync(answer.Body));
        }
    }

    [Fact]
    public async Task Send_TwoRequests_ReuseOneConnection()
    {
        using RawServer server = Echo("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        for (int i = 0; i < 3; i++)
        {
            await using UpstreamResponse answer = await SendAsync(server);
            Assert.Equal("ok", await ReadAllAsync(answer.Body));
        }
        Assert.Equal(1, server.Connections);
    }

    [Fact]
    public async Task Send_RequestHasHeadersAndTheThreeSegmentsOfTheBody()
    {
        using RawServer server = Echo("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        var target = new UpstreamTarget(server.Uri, [new("Authorization", "Bearer k"), new("X-Extra", "1")]);
        await using UpstreamResponse answer = await _transport.SendAsync(target, new RequestBody("{\"a\":"u8.ToArray(), "1"u8.ToArray(), "}"u8.ToArray()), Patient, default);
        string request = server.Requests.Single();
        Assert.StartsWith("POST /v1/chat/completions HTTP/1.1\r\n", request);
        Assert.Contains($"\r\nHost: 127.0.0.1:{server.Uri.Port}\r\n", request);
        Assert.Contains("\r\nAuthorization: Bearer k\r\n", request);
        Assert.Contains("\r\nX-Extra: 1\r\n", request);
        Assert.EndsWith("\r\n\r\n{\"a\":1}", request);
    }

    [Fact]
    public async Task Send_BodyLargerThanTheCopyLimit_ArrivesWhole()
    {
        using RawServer server = Echo("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        string large = new('x', 3_000_000);
        await using UpstreamResponse answer = await _transport.SendAsync(Target(server), new RequestBody(Encoding.UTF8.GetBytes(large), "mid"u8.ToArray(), "end"u8.ToArray()), Patient, default);
        Assert.EndsWith(large + "midend", server.Requests.Single());
    }

    [Fact]
    public async Task Send_ServerClosedTheIdleConnection_UsesANewOne()
    {
        using var server = new RawServerHolder(async (raw, stream, _) =>
        {
            await raw.ReadRequestAsync(stream);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray());
            // and closes without saying so
        }).Server;
        for (int i = 0; i < 5; i++)
        {
            await using UpstreamResponse answer = await SendAsync(server);
            Assert.Equal("ok", await ReadAllAsync(answer.Body));
        }
        Assert.Equal(5, server.Connections);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")]
    public async Task Body_ConnectionLostInTheMiddle_DeliversWhatCameAndThenThrows(string response)
    {
        using var server = Once(response);
        await using UpstreamResponse answer = await SendAsync(server);
        string seen = "";
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(async () =>
        {
            while (true)
            {
                ReadResult read = await answer.Body.ReadAsync();
                seen += Encoding.UTF8.GetString(read.Buffer);
                answer.Body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return;
            }
        });
        Assert.Equal(UpstreamFailure.ConnectionLost, e.Failure);
        Assert.Equal("half", seen);
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
    [InlineData("HTTP/1.1 999999 Huh\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")]
    public async Task Send_WhatComesIsNotHttp_ThrowsInvalidResponse(string response)
    {
        using var server = Once(response);
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(() => SendAsync(server));
        Assert.Equal(UpstreamFailure.InvalidResponse, e.Failure);
    }

    [Fact]
    public async Task Send_ServerClosesWithoutAnswer_ThrowsConnectionLost()
    {
        using var server = Once("");
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(() => SendAsync(server));
        Assert.Equal(UpstreamFailure.ConnectionLost, e.Failure);
    }

    [Fact]
    public async Task Send_NobodyListens_ThrowsConnect()
    {
        Uri uri;
        using (var server = Once("")) uri = server.Uri;
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(async () => await _transport.SendAsync(new UpstreamTarget(uri, []), new RequestBody("{}"u8.ToArray()), Patient, default));
        Assert.Equal(UpstreamFailure.Connect, e.Failure);
    }

    [Fact]
    public async Task Send_NoFirstByteInTime_ThrowsFirstByteTimeoutAndClosesTheConnection()
    {
        var closed = new TaskCompletionSource();
        using var server = new RawServer(async (stream, _) => await UntilClosedAsync(stream, closed));
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(() => SendAsync(server, Patient with { FirstByte = TimeSpan.FromMilliseconds(100) }));
        Assert.Equal(UpstreamFailure.FirstByteTimeout, e.Failure);
        await closed.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Body_SilentInTheMiddle_ThrowsChunkTimeout()
    {
        var closed = new TaskCompletionSource();
        using var server = new RawServer(async (stream, _) =>
        {
            await RawServer.ReadOneAsync(stream);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"u8.ToArray());
            await UntilClosedAsync(stream, closed);
        });
        await using UpstreamResponse answer = await SendAsync(server, Patient with { BetweenChunks = TimeSpan.FromMilliseconds(100) });
        UpstreamException e = await Assert.ThrowsAsync<UpstreamException>(() => ReadAllAsync(answer.Body));
        Assert.Equal(UpstreamFailure.ChunkTimeout, e.Failure);
        await closed.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Send_CancelledBeforeTheHead_ClosesTheConnection()
    {
        var closed = new TaskCompletionSource();
        var arrived = new TaskCompletionSource();
        using var server = new RawServer(async (stream, _) =>
        {
            await RawServer.ReadOneAsync(stream);
            arrived.SetResult();
            await UntilClosedAsync(stream, closed);
        });
        using var cancel = new CancellationTokenSource();
        Task<UpstreamResponse> send = SendAsync(server, Patient, cancel.Token);
        await arrived.Task.WaitAsync(Deadline);
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
        await closed.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Body_CancelledInTheMiddle_ClosesTheConnection()
    {
        var closed = new TaskCompletionSource();
        using var server = new RawServer(async (stream, _) =>
        {
            await RawServer.ReadOneAsync(stream);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"u8.ToArray());
            await UntilClosedAsync(stream, closed);
        });
        using var cancel = new CancellationTokenSource();
        await using UpstreamResponse answer = await SendAsync(server, Patient, cancel.Token);
        ReadResult read = await answer.Body.ReadAsync();
        answer.Body.AdvanceTo(read.Buffer.End);
        ValueTask<ReadResult> next = answer.Body.ReadAsync();
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await next);
        await closed.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Dispose_BodyNotReadToItsEnd_ClosesTheConnection()
    {
        var closed = new TaskCompletionSource();
        using var server = new RawServer(async (stream, _) =>
        {
            await RawServer.ReadOneAsync(stream);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"u8.ToArray());
            await UntilClosedAsync(stream, closed);
        });
        UpstreamResponse answer = await SendAsync(server);
        await answer.DisposeAsync();
        await closed.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Body_LargerThanTheBufferAndExaminedNotConsumed_IsKeptWhole()
    {
        string text = string.Concat(Enumerable.Range(0, 60_000).Select(i => $"{i},"));
        using var server = Once($"HTTP/1.1 200 OK\r\nX-Late: yes\r\nContent-Length: {text.Length}\r\n\r\n{text}");
        await using UpstreamResponse answer = await SendAsync(server);
        while (true)
        {
            ReadResult read = await answer.Body.ReadAsync();
            if (read.IsCompleted)
            {
                Assert.Equal(text, Encoding.UTF8.GetString(read.Buffer));
                break;
            }
            answer.Body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
        Assert.Equal("yes", answer.Header("x-late"));
    }

    [Fact]
    public async Task Send_ManyAtOnce_EachGetsItsOwnAnswer()
    {
        using var server = new RawServerHolder(async (raw, stream, _) =>
        {
            while (await raw.ReadRequestAsync(stream) is { } request)
            {
                string body = request.Split("\r\n\r\n")[1];
                await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
            }
        }).Server;
        UpstreamTarget target = Target(server);
        await Parallel.ForAsync(0, 500, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) =>
        {
            await using UpstreamResponse answer = await _transport.SendAsync(target, new RequestBody(Encoding.UTF8.GetBytes($"request {i}")), Patient, default);
            Assert.Equal($"request {i}", await ReadAllAsync(answer.Body));
        });
        Assert.InRange(server.Connections, 1, 64);
    }

    [Fact]
    public void Target_HeaderWithLineBreak_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new UpstreamTarget(new Uri("http://h/"), [new("X", "a\r\nEvil: 1")]));
        Assert.Throws<ArgumentException>(() => new UpstreamTarget(new Uri("ftp://h/"), []));
    }

    public void Dispose() => _transport.Dispose();

    private static UpstreamTarget Target(RawServer server) => new(server.Uri, []);

    private Task<UpstreamResponse> SendAsync(RawServer server, UpstreamTimeouts? timeouts = null, CancellationToken cancellationToken = default) =>
        _transport.SendAsync(Target(server), new RequestBody("{}"u8.ToArray()), timeouts ?? Patient, cancellationToken).AsTask();

    private static async Task<string> ReadAllAsync(PipeReader body)
    {
        var text = new StringBuilder();
        while (true)
        {
            ReadResult read = await body.ReadAsync();
            text.Append(Encoding.UTF8.GetString(read.Buffer));
            body.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return text.ToString();
        }
    }

    private static RawServer Once(string response) => new(async (stream, _) =>
    {
        await RawServer.ReadOneAsync(stream);
        await stream.WriteAsync(Encoding.Latin1.GetBytes(response));
    });

    private static RawServer Echo(string response) => new RawServerHolder(async (raw, stream, _) =>
    {
        while (await raw.ReadRequestAsync(stream) is not null) await stream.WriteAsync(Encoding.Latin1.GetBytes(response));
    }).Server;

    private static async Task UntilClosedAsync(Stream stream, TaskCompletionSource closed)
    {
        try
        {
            while (await stream.ReadAsync(new byte[4096]) > 0)
            {
                // the request itself
            }
        }
        catch (IOException)
        {
            // a reset is a close too
        }
        closed.TrySetResult();
    }

    /// <summary>Gives the serving function its server, for reading requests.</summary>
    private sealed class RawServerHolder
    {
        public RawServerHolder(Func<RawServer, System.Net.Sockets.NetworkStream, int, Task> serve) =>
            Server = new RawServer(async (stream, number) => await serve(Server!, stream, number));

        public RawServer Server { get; }
    }
}
