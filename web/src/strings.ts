// Everything that the page says to people. English is the only language so far.

const english = {
  compare: {
    tab: 'Compare',
    working: 'Comparing',
    about: 'This session beside another segmentation of the scan: both outlines, the voxels that differ, Dice. A press on a row shows that structure only.',
    file: 'File…',
    fileTitle: 'Label map, DICOM SEG or RTSTRUCT of this scan',
    session: 'Another session…',
    sessionChoice: (time: string, objects: number) => `${time}, ${objects} ${objects === 1 ? 'object' : 'objects'}`,
    with: (name: string) => `with ${name}`,
    end: 'End the comparison',
    csv: 'Save the table (.csv)',
    outdated: 'The session has changed since.',
    again: 'Compare again',
    onlyFirst: 'only this session',
    onlySecond: 'only the other',
    otherwise: 'named otherwise',
    structure: 'Structure',
    dice: 'Dice',
    firstMl: 'ml',
    firstMlTitle: 'Volume in this session',
    secondMl: 'other ml',
    secondMlTitle: 'Volume in the other segmentation',
    hd95: 'HD95',
    hd95Title: '95th percentile of the distances between the surfaces, in mm',
    rowTitle: 'Show this one only, or all again',
    none: '–',
  },
};

export type Strings = typeof english;

export const texts: Strings = english;
