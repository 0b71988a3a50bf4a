using Microsoft.AspNetCore.Http;
using MultiAgent.Hosting.Idempotency;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

/// <summary>What the client has of an answer, and when.</summary>
public sealed class AnswerStreamTests
{
    private readonly DefaultHttpContext _context = new();
    private readonly MemoryStream _client = new();
    private readonly AnswerStream _answer;

    public AnswerStreamTests() => _context.Response.Body = _answer = new AnswerStream(_context.Response, _client, maxHeld: 10, maxCopy: 20);

    [Fact]
    public async Task ShortJson_IsHeldBackUntilItIsLetGo()
    {
        _context.Response.ContentType = "application/json; charset=utf-8";
        await _answer.WriteAsync(new byte[6]);
        await _answer.FlushAsync();
        await _answer.WriteAsync(new byte[4]);
        Assert.Equal((0, 10), (_client.Length, _answer.Copy!.Length));
        await _answer.LetGoAsync(default);
        Assert.Equal(10, _client.Length);
    }

    [Fact]
    public async Task LongJson_GoesOnOnceItIsLong_InItsOrder()
    {
        _context.Response.ContentType = "application/json";
        await _answer.WriteAsync(new byte[] { 1, 2, 3 });
        await _answer.WriteAsync(new byte[] { 4, 5, 6, 7, 8, 9, 10, 11 });
        Assert.Equal(Enumerable.Range(1, 11).Select(i => (byte)i), _client.ToArray());
        Assert.Equal(_client.ToArray(), _answer.Copy!.ToArray());
        await _answer.WriteAsync(new byte[20]);
        Assert.Null(_answer.Copy);
        await _answer.LetGoAsync(default);
        Assert.Equal(31, _client.Length);
    }

    [Fact]
    public async Task Stream_GoesThroughAsItIsWritten()
    {
        _context.Response.ContentType = "text/event-stream";
        await _answer.WriteAsync(new byte[3]);
        Assert.Equal((3, 3), (_client.Length, _answer.Copy!.Length));
    }

    [Fact]
    public async Task HalfAnAnswer_IsTakenBackForAnError()
    {
        _context.Response.ContentType = "application/json";
        await _answer.WriteAsync(new byte[6]);
        _context.Response.Clear();
        _context.Response.ContentType = "application/problem+json";
        await _answer.WriteAsync(new byte[] { 9 });
        await _answer.LetGoAsync(default);
        Assert.Equal([9], _client.ToArray());
    }
}
