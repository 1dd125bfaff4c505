import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseFault, parsePage, parseUploads, textOf } from './s3-answers.ts';

test('a page of a list is read, with its names as they are', () => {
  const body = Buffer.from(`<?xml version="1.0"?>
    <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
      <Contents><Key>a%2Fb+c%26d</Key><ETag>&quot;x&quot;</ETag><Size>12</Size></Contents>
      <Contents><Size>0</Size><Key>%E0%A4%A</Key></Contents>
      <CommonPrefixes><Prefix>data/</Prefix></CommonPrefixes>
      <NextContinuationToken>1&amp;2&#x3d;</NextContinuationToken></ListBucketResult>`);
  expect(parsePage(body)).toEqual({
    objects: [
      { key: 'a/b c&d', sizeBytes: 12 },
      { key: '%E0%A4%A', sizeBytes: 0 },
    ],
    prefixes: ['data/'],
    next: '1&2=',
  });
});

test.each([
  '',
  '<html></html>',
  '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
  '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>',
  '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>',
  '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>many</Size></Contents></ListBucketResult>',
  '<ListBucketResult></ListBucketResult>',
  '<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>',
  '<ListBucketResult><IsTruncated>false</IsTruncated>',
  '<ListBucketResult/>',
])('"%s" is no page', (body) => {
  expect(parsePage(Buffer.from(body))).toBeUndefined();
});

test('a page that is cut short anywhere is no page', () => {
  const body = Buffer.from(
    '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents><Contents><Key>b</Key><Size>2</Size></Contents></ListBucketResult>',
  );
  expect(parsePage(body)?.objects).toHaveLength(2);
  for (let length = 0; length < body.length; length++)
    expect(parsePage(body.subarray(0, length))).toBeUndefined();
});

test('an error is read, and one without words has none', () => {
  const body = Buffer.from(
    '<Error><Code>AuthorizationHeaderMalformed</Code><Message>a &lt;b&gt;</Message><Region>eu-west-1</Region></Error>',
  );
  expect(parseFault(body, {})).toEqual({
    code: 'AuthorizationHeaderMalformed',
    message: 'a <b>',
    region: 'eu-west-1',
  });
  expect(parseFault(Buffer.alloc(0), { 'x-amz-bucket-region': 'eu-west-2' })).toEqual({
    code: '',
    message: '',
    region: 'eu-west-2',
  });
});

test('uploads are read', () => {
  const body = Buffer.from(
    '<R><Upload><Key>a%2Fb</Key><UploadId>u</UploadId><Initiated>2020-01-01T00:00:00Z</Initiated></Upload></R>',
  );
  expect(parseUploads(body)).toEqual([{ key: 'a/b', uploadId: 'u', initiated: '2020-01-01T00:00:00Z' }]);
});

test('nothing that a server may send is more than text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', '&', ';', '#', 'x', '1', 'Key', 'Contents', '/', ' ') }),
      (xml) => {
        parsePage(Buffer.from(`<ListBucketResult>${xml}</ListBucketResult>`));
        parseFault(Buffer.from(xml), {});
        parseUploads(Buffer.from(xml));
        textOf(xml, 'Key');
      },
    ),
  );
  expect(textOf('<A>&#99999999;&unknown;</A>', 'A')).toBe('&#99999999;&unknown;');
});
